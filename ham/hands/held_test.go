package hands

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// ask sends one line to a server and returns its answer.
func ask(t *testing.T, network, address, line string) string {
	t.Helper()
	c, err := net.Dial(network, address)
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprintln(c, line)
	require.NoError(t, err)
	answer, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(answer)
}

// addressOf is where a held socket listens.
func addressOf(t *testing.T, b *bench, key string) string {
	t.Helper()
	fd, ok := b.held.get(key)
	require.True(t, ok)
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return "127.0.0.1:" + strconv.Itoa(sa.(*unix.SockaddrInet4).Port)
}

func TestAListeningSocketOutlivesItsProgramAndLosesNoConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	c := role(t, "server")
	c.Sockets = []core.Socket{{Name: "web", Network: "tcp", Address: "127.0.0.1:0"}}
	first := b.spawn(t, core.Spawn{Entity: "server", Command: c})
	address := addressOf(t, b, heldKey("server", "listen", "tcp", "127.0.0.1:0"))
	require.Equal(t, strconv.Itoa(first.PID), ask(t, "tcp", address, "hello"))
	require.Equal(t, strconv.Itoa(first.PID), ask(t, "tcp", address, "exit"))
	b.exited(t, first.PID)

	waiting, err := net.Dial("tcp", address) // nobody is there to accept
	require.NoError(t, err)
	defer waiting.Close()
	second := b.spawn(t, core.Spawn{Entity: "server", Command: c})
	_, err = fmt.Fprintln(waiting, "hello")
	require.NoError(t, err)
	answer, err := bufio.NewReader(waiting).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln(second.PID), answer)

	b.Do(core.Forget{Entity: "server"})
	eventually(t, "a forgotten entity's socket is held", func() bool { return len(b.held.keys("server", "listen")) == 0 })
}

func TestASocketFileThatNobodyIsBehindIsReplacedAndGoesWithItsEntity(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
	c := role(t, "server")
	c.Sockets = []core.Socket{{Network: "unix", Address: path}}
	id := b.spawn(t, core.Spawn{Entity: "server", Command: c})
	require.Equal(t, strconv.Itoa(id.PID), ask(t, "unix", path, "hello"))

	c.Sockets = nil // as after a reload
	b.Do(core.Spawn{ID: b.id(), Entity: "server", Command: c, As: core.Owner{Admin: true}})
	eventually(t, "the file of a closed socket stays", func() bool { _, err := os.Stat(path); return os.IsNotExist(err) })
}

func TestASocketThatIsInUseIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	_, err = listen("unix", path)
	require.ErrorIs(t, err, unix.EADDRINUSE)
	_, err = os.Stat(path)
	require.NoError(t, err)
	for _, network := range []string{"udp", "unixgram", "unixpacket"} {
		address := map[string]string{"udp": "127.0.0.1:0"}[network]
		if address == "" {
			address = filepath.Join(t.TempDir(), "s")
		}
		fd, err := listen(network, address)
		require.NoError(t, err, network)
		unix.Close(fd)
	}
}

func TestTheOtherHalfHoldsWhatMustOutliveHAM(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	guardian := Follow(dir)
	defer guardian.Close()
	server := role(t, "server")
	server.Sockets = []core.Socket{{Network: "tcp", Address: "127.0.0.1:0"}}
	g := newGate(t)
	storing := role(t, "notify", "HANDS_TEST_GATE="+g.path)
	storing.FDStore = 2
	admin := core.Owner{Admin: true}
	o := startOther(t, effects{Dir: dir, Do: []core.Spawn{
		{ID: 1, Entity: "server", Command: server, As: admin},
		{ID: 2, Entity: "talker", Command: storing, As: admin, Notify: true},
	}})
	pids := map[uint64]core.Spawned{}
	for range 2 {
		s := o.spawned(t)
		pids[s.ID] = s
	}
	g.say(t, "fd cache")
	eventually(t, "the guardian does not hold the descriptors", func() bool { return guardian.Len() == 4 }) // listener, notification socket, two stored
	o.kill(t)
	g.say(t, "STATUS=said while there was no HAM")

	b := newBench(t, Config{Dir: dir, Held: guardian})
	b.next.Store(2)
	require.Equal(t, strconv.Itoa(pids[1].PID), ask(t, "tcp", addressOf(t, b, heldKey("server", "listen", "tcp", "127.0.0.1:0")), "hello"))
	b.Do(core.Watch{Target: core.Target{Entity: "talker", PID: pids[2].PID, Start: pids[2].Start}, Adopted: true, Notify: true})
	b.notified(t, "talker", "what was said meanwhile", func(n core.Notified) bool { return n.Status == "said while there was no HAM" })
	g.say(t, "fd too many")
	n := b.notified(t, "talker", "the store", func(n core.Notified) bool { return n.HasFDs })
	require.Equal(t, []string{"cache", "cache"}, n.FDs, "the bound of the store is not known any more")

	next := Follow(dir) // the guardian of the new HAM
	defer next.Close()
	eventually(t, "the next guardian does not hold the descriptors", func() bool { return next.Len() == 4 })
	b.Do(core.Forget{Entity: "talker"})
	eventually(t, "the guardian holds what HAM has let go", func() bool { return next.Len() == 1 })
}

func TestAFollowerThatIsSlowIsToldEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	const many = 1000 // more than a socket takes at once
	for i := range many {
		b.held.put(heldKey("e", "store", strconv.Itoa(i)), must(unix.Dup(0)))
	}
	fd := must(sock.Dial(t.Context(), filepath.Join(b.cfg.Dir, heldFile)))
	defer unix.Close(fd)
	told, buf := 0, make([]byte, 100)
	for {
		n, fds, err := sock.RecvFDs(fd, buf, 1)
		if err == sock.ErrAgain {
			ready, err := sock.WaitReadable(fd, patience)
			require.True(t, ready, "%v", err)
			time.Sleep(time.Millisecond) // slow
			continue
		}
		require.NoError(t, err)
		closeAll(fds)
		if string(buf[:n]) == "=" {
			break
		}
		told += len(fds)
	}
	require.Equal(t, many, told)
}

func TestAFollowerKeepsWhatItHasUntilItHasBeenToldAnew(t *testing.T) {
	t.Parallel()
	f := &Follower{all: map[string]int{}}
	defer func() { closeAll([]int{f.all["b"]}) }()
	fd := func() []int { return []int{must(unix.Dup(0))} }
	f.change("+a", fd())
	f.change("+b", fd())
	f.fresh = map[string]bool{} // a new connection
	f.change("+b", fd())
	require.Equal(t, 2, f.Len(), "forgotten before the new HAM has told everything")
	f.change("=", nil)
	require.Equal(t, 1, f.Len())
	require.Contains(t, f.all, "b")
}
