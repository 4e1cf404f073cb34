package pair_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// lines is a client of the ledger that knows nothing of pairs: a plain TCP connection, never made again.
type lines struct {
	t    *testing.T
	id   int
	conn net.Conn
	in   *bufio.Reader
	rng  *rand.Rand
	sent int      // entries asked for
	got  []string // replies to them
}

func dialLines(t *testing.T, p *pairtest.Pair, id int) *lines {
	t.Helper()
	seed := rand.Uint64()
	conn, err := net.Dial("tcp", p.Status().Listen[0])
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		if t.Failed() {
			t.Logf("client %d had seed %d", id, seed)
		}
	})
	l := &lines{t: t, id: id, conn: conn, in: bufio.NewReader(conn), rng: rand.New(rand.NewPCG(seed, 0))}
	l.write("wait\n") // until it was accepted by this program: see TestAConnectionBeingAcceptedIsServedOrReset
	require.Equal(t, "waited", l.read())
	return l
}

func (l *lines) write(format string, args ...any) {
	l.t.Helper()
	_ = l.conn.SetDeadline(time.Now().Add(patience))
	_, err := fmt.Fprintf(l.conn, format, args...)
	require.NoError(l.t, err, "broken promise: a client's connection outlives its server")
}

func (l *lines) read() string {
	l.t.Helper()
	_ = l.conn.SetDeadline(time.Now().Add(patience))
	s, err := l.in.ReadString('\n')
	require.NoError(l.t, err, "broken promise: a client's connection outlives its server")
	return strings.TrimSuffix(s, "\n")
}

// ask asks for so many entries in one go, with the bytes cut anywhere.
func (l *lines) ask(n int) {
	l.t.Helper()
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "enter %d %d %d\n", l.id, l.sent, l.rng.IntN(200))
		l.sent++
	}
	for rest := b.String(); rest != ""; {
		k := 1 + l.rng.IntN(len(rest))
		l.write("%s", rest[:k])
		rest = rest[k:]
	}
}

// collect reads the replies to all that was asked.
func (l *lines) collect() {
	l.t.Helper()
	for len(l.got) < l.sent {
		l.got = append(l.got, l.read())
	}
}

// check compares what was told with what the ledger holds.
func (l *lines) check(c *receive.Conn) {
	l.t.Helper()
	var all []Made
	for {
		part, err := receive.Call[[]Made](l.t.Context(), c, "made", Question{l.id, len(all)})
		require.NoError(l.t, err)
		all = append(all, part...)
		if len(part) < atOnce {
			break
		}
	}
	require.Len(l.t, all, l.sent, "broken promise: what was answered is in the state; client %d", l.id)
	for n, m := range all {
		require.EqualValues(l.t, 1, m.Times, "broken promise: every request is applied once; entry %d of client %d", n, l.id)
		told, _, _ := strings.Cut(l.got[n], " x")
		require.Equal(l.t, fmt.Sprintf("%d %d", m.Receipt.Serial, m.Receipt.Dice), strings.TrimSpace(told), "broken promise: the reply is what the state says; entry %d of client %d", n, l.id)
	}
}
