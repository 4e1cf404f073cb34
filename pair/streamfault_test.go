package pair_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// What clients of streams do to their server, and what the world does to them.

// A script of pipelined requests is cut at every byte; the primary dies between the two pieces.
func TestARequestCutAnywhereIsHandledOnceAfterATakeover(t *testing.T) {
	const script = "enter 1 %d 3\nblob 5\nab\ncd" + "wait a while\nnote n\n"
	length := len(fmt.Sprintf(script, 0))
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 3))
		var clients []*lines
		for cut := 1; cut < length; cut++ { // one client for every place, so that one death serves them all
			l := dialLines(t, p, cut)
			l.write("%s", fmt.Sprintf(script, 0)[:cut])
			clients = append(clients, l)
		}
		c := p.Dial()
		p.WaitProtected()
		settle(t, c, int64(length-1))
		p.Kill(p.Primary())
		for i, l := range clients {
			l.write("%s", fmt.Sprintf(script, 0)[i+1:])
			require.Regexp(t, `^\d+ -?\d+ xxx$`, l.read())
			require.Equal(t, fmt.Sprintf("5 %d", crc32.ChecksumIEEE([]byte("ab\ncd"))), l.read())
			s := l.read()
			if s == "go on" {
				s = l.read()
			}
			require.Equal(t, "waited", s)
			require.Equal(t, "noted", l.read())
			l.write("noted\n")
			require.Equal(t, "n", l.read(), "broken promise: what is kept for a connection outlives its server, once")
		}
		require.EqualValues(t, length-1, closedCounts(t, c)[2], "broken promise: every blob is handled once")
	})
}

// settle waits until the pair has seen the first bytes of so many clients, as well as that can be told.
func settle(t *testing.T, c *receive.Conn, _ int64) {
	t.Helper()
	for before, same := int64(-1), 0; same < 3; {
		_, err := receive.Call[[]int64](t.Context(), c, "count", struct{}{})
		require.NoError(t, err)
		now := closedCounts(t, c)[2]
		if now == before {
			same++
		}
		before = now
	}
}

// closedCounts returns how many connections have ended, for how many something is kept, and how many blobs came.
func closedCounts(t *testing.T, c *receive.Conn) []int64 {
	t.Helper()
	n, err := receive.Call[[]int64](t.Context(), c, "closed", struct{}{})
	require.NoError(t, err)
	return n
}

func TestARequestLargerThanEveryBufferIsHandledAcrossATakeover(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		l := dialLines(t, p, 1)
		blob := bytes.Repeat([]byte("0123456789abcdef"), 120<<10/16)
		l.write("blob %d\n", len(blob))
		for i, part := range [][]byte{blob[:50<<10], blob[50<<10 : 100<<10], blob[100<<10:]} {
			l.write("%s", part)
			if i < 2 {
				p.Kill(p.WaitProtected().Primary)
			}
		}
		require.Equal(t, fmt.Sprintf("%d %d", len(blob), crc32.ChecksumIEEE(blob)), l.read())
		l.write("enter 1 0\n")
		require.NotEmpty(t, l.read())
	})
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	l := dialLines(t, p, 1)
	go func() { _, _ = l.conn.Write([]byte("blob 300000\n" + strings.Repeat("x", 300000))) }()
	require.Contains(t, l.read(), "too large")
	_, err := io.Copy(io.Discard, l.in)
	require.True(t, err == nil || errors.Is(err, syscall.ECONNRESET), "%v", err)
}

func TestErrorsAndFarewellsReachTheClient(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		l := dialLines(t, p, 1)
		l.write("nonsense\nenter 1 0 0\n")
		require.Equal(t, `error: unknown word "nonsense"`, l.read())
		require.NotEmpty(t, l.read(), "the connection goes on")
		l.write("note kept\nbye\nenter 1 1 0\n")
		require.Equal(t, "noted", l.read())
		require.Equal(t, "bye", l.read())
		_, err := l.in.ReadByte()
		require.Error(t, err, "nothing comes after a farewell")

		bad := dialLines(t, p, 2)
		bad.write("!\n")
		require.Equal(t, "error: a line must not begin with !", bad.read())
		_, err = bad.in.ReadByte()
		require.Error(t, err)

		c := p.Dial()
		p.Kill(p.WaitProtected().Primary)
		counts := closedCounts(t, c)
		require.EqualValues(t, []int64{2, 0, 0}, counts, "broken promise: what was kept for a connection is forgotten with it, once, and an error undoes its changes")
	})
}

func TestAClientThatGoesAwayIsForgottenByBothMembers(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 5))
		c := p.Dial()
		base := p.Descriptors(p.WaitProtected().Backup)
		for i := range 20 {
			l := dialLines(t, p, i+1)
			l.write("note x\nwait") // and half a request
			require.Equal(t, "noted", l.read())
			if i%2 == 0 {
				_ = l.conn.(*net.TCPConn).SetLinger(0) // a reset
			}
			l.conn.Close()
		}
		require.Eventually(t, func() bool { return closedCounts(t, c)[0] == 20 }, patience, time.Millisecond)
		s := p.WaitProtected()
		require.Eventually(t, func() bool { return p.Descriptors(s.Backup) < base+10 }, patience, time.Millisecond, "broken promise: no descriptor is leaked")
		p.Kill(s.Primary)
		require.EqualValues(t, []int64{20, 0, 0}, closedCounts(t, c))
	})
}

// A client that never reads costs what its socket holds and a bounded rest, and nobody else anything. What it
// was promised is there when it does read, after takeovers too.
func TestAClientThatNeverReadsHarmsNobody(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 50))
		deaf, other := dialLines(t, p, 1), dialLines(t, p, 2)
		sent := make(chan int)
		const size = 4000
		go func() { // 16 MB of replies, more than any socket holds
			n := 0
			for ; n < 4000; n++ {
				_ = deaf.conn.SetWriteDeadline(time.Now().Add(patience))
				if _, err := fmt.Fprintf(deaf.conn, "enter 1 %07d %d\n", n, size); err != nil {
					break
				}
			}
			sent <- n
		}()
		other.ask(100)
		other.collect()
		n := <-sent
		p.Kill(p.WaitProtected().Primary)
		other.ask(100)
		other.collect()
		p.Kill(p.WaitProtected().Primary)
		_ = deaf.conn.SetReadDeadline(time.Now().Add(patience))
		last := int64(-1)
		for i := range n {
			s, err := deaf.in.ReadString('\n')
			require.NoError(t, err, "reply %d of %d", i, n)
			var serial, dice int64
			_, err = fmt.Sscanf(s, "%d %d", &serial, &dice)
			require.NoError(t, err)
			require.Greater(t, serial, last, "broken promise: replies come in order, each once")
			require.True(t, strings.HasSuffix(s, strings.Repeat("x", size)+"\n"), "broken promise: not a byte of a reply is lost or doubled")
			last = serial
		}
		other.check(p.Dial())
	})
}

// A client that resets its connection in the middle of a reply ends its own, and nobody else's.
func TestAResetInTheMiddleOfAReplyEndsThatConnectionAlone(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	c, rude, other := p.Dial(), dialLines(t, p, 1), dialLines(t, p, 2)
	for n := range 400 { // 8 MB of replies: more than the socket holds, so one is always half written
		rude.write("enter 1 %d 20000\n", n)
	}
	rude.read()
	require.NoError(t, rude.conn.(*net.TCPConn).SetLinger(0))
	require.NoError(t, rude.conn.Close())
	other.ask(50)
	other.collect()
	require.Eventually(t, func() bool { return closedCounts(t, c)[0] == 1 }, patience, time.Millisecond)
	p.Kill(p.WaitProtected().Primary)
	other.ask(50)
	other.collect()
	other.check(c)
	require.EqualValues(t, []int64{1, 0, 0}, closedCounts(t, c))
}

func TestARequestThatKillsItsServerIsRefusedToItsClientAlone(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		bad, good := dialLines(t, p, 1), dialLines(t, p, 2)
		good.ask(5)
		good.collect()
		bad.write("panic\nenter 1 0 0\n")
		require.Contains(t, bad.read(), receive.ErrPoison.Error())
		require.NotEmpty(t, bad.read())
		good.ask(5)
		good.collect()
		p.WaitProtected()
		good.check(p.Dial())
	})
}

// A connection lives in one process for the few microseconds between its acceptance and its being passed on. If that process
// dies then it is reset; one at most is, and nothing of what it asked for has happened.
func TestAConnectionBeingAcceptedIsServedOrReset(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	c := p.Dial()
	entered, reset := 0, 0
	for range 10 * *long {
		s := p.WaitProtected()
		var fresh []net.Conn
		for range 8 {
			conn, err := net.Dial("tcp", s.Listen[0])
			require.NoError(t, err, "broken promise: no connection is refused")
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "enter 7 %d 0\n", entered+len(fresh))
			require.NoError(t, err)
			fresh = append(fresh, conn)
		}
		p.Kill(s.Primary)
		lost := 0
		for _, conn := range fresh {
			_ = conn.SetDeadline(time.Now().Add(patience))
			n, err := conn.Read(make([]byte, 100))
			if errors.Is(err, syscall.ECONNRESET) {
				lost++
				_, err := receive.Call[Receipt](t.Context(), c, "enter", Entry{Client: 7, N: entered})
				require.NoError(t, err)
			} else {
				require.NoError(t, err)
				require.NotZero(t, n)
			}
			entered++
		}
		require.LessOrEqual(t, lost, 1, "broken promise: at most the one that was being accepted is lost")
		reset += lost
	}
	t.Logf("%d of %d connections were reset", reset, entered)
	made, err := receive.Call[[]Made](t.Context(), c, "made", Question{7, 0})
	require.NoError(t, err)
	require.Len(t, made, min(entered, atOnce))
	for n, m := range made {
		require.EqualValues(t, 1, m.Times, "broken promise: what a reset connection asked for has not happened; entry %d", n)
	}
}

// Ten thousand idle connections are all there after a takeover, and delay nobody.
func TestManyIdleConnectionsOutliveATakeover(t *testing.T) {
	t.Parallel()
	n := 10_000
	var lim unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &lim))
	if room := int(lim.Max) - 2000; room < n || testing.Short() {
		n = min(room, 1000)
		t.Logf("only %d connections: the limit on descriptors is %d (ulimit -n), -short is %v", n, lim.Max, testing.Short())
	}
	p := start(t, "ledger", set(envHang, "3s"))
	addr := p.Status().Listen[0]
	var idle []net.Conn
	for i := range n {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err, "connection %d", i)
		defer c.Close()
		idle = append(idle, c)
	}
	busy := dialLines(t, p, 1)
	busy.ask(50)
	busy.collect()
	for range 2 {
		s := p.WaitProtected()
		p.Kill(s.Primary)
		busy.ask(50)
		busy.collect()
		p.WaitStatus("the takeover", func(now pairtest.Status) bool { return now.Primary == s.Backup })
	}
	buf := make([]byte, 64)
	for i, c := range idle {
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err := fmt.Fprintf(c, "wait\n")
		require.NoError(t, err)
		k, err := c.Read(buf)
		require.NoError(t, err, "broken promise: connection %d of %d outlives the takeover", i, n)
		require.Equal(t, "waited\n", string(buf[:k]))
	}
	busy.check(p.Dial())
}

// A backup that cannot take a connection in costs that client its connection at the takeover, and nobody else anything.
func TestWithoutDescriptorsForAConnectionOnlyItsClientSuffers(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	first := dialLines(t, p, 1)
	first.ask(5)
	first.collect()
	s := p.WaitProtected()
	before := p.Descriptors(s.Backup)
	require.Eventually(t, func() bool { // it has taken the first one in
		third := dialLines(t, p, 3)
		third.write("wait\n")
		third.read()
		return p.Descriptors(s.Backup) > before
	}, patience, time.Millisecond)
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(s.Backup.PID, unix.RLIMIT_NOFILE, nil, &limit))
	none := unix.Rlimit{Cur: 3, Max: limit.Max}
	require.NoError(t, unix.Prlimit(s.Backup.PID, unix.RLIMIT_NOFILE, &none, nil))
	second := dialLines(t, p, 2)
	second.ask(1)
	second.collect()
	p.WaitLog("a connection could not be taken")
	require.NoError(t, unix.Prlimit(s.Backup.PID, unix.RLIMIT_NOFILE, &limit, nil))
	p.Kill(s.Primary)
	first.ask(5)
	first.collect()
	_ = second.conn.SetReadDeadline(time.Now().Add(patience))
	_, err := second.in.ReadByte()
	require.Error(t, err)
	require.NotErrorIs(t, err, syscall.ETIMEDOUT)
	first.check(p.Dial())
}
