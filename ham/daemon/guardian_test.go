package daemon_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/hands"
	"github.com/1fb4ed1c/tandem/pair"
)

// listOfAllKinds has an action of every kind that is under way for some time, and a log line.
const listOfAllKinds = `
[[entity]]
name = "p"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "mark", DAEMON_TEST_NAME = "p" }
restart = { delays = ["1ms"] }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
    [[entity.condition.action]]
    name = "wait"
    waitfor = { timeout = "5ms" }
    [[entity.condition.action]]
    name = "wait for it"
    waitfor = { path = "$DIR/p.up", timeout = "10s" }
    [[entity.condition.action]]
    name = "execute"
    execute = ["/bin/sh", "-c", "echo $HAM_EVENT_SEQ >> $DIR/executed"]
    [[entity.condition.action]]
    name = "execute once"
    execute = ["/bin/sh", "-c", "echo $HAM_EVENT_SEQ >> $DIR/once"]
    delivery = "at_most_once"
      [[entity.condition.action.on_fail]]
      name = "not at all"
      execute = ["/bin/sh", "-c", "echo $HAM_EVENT_SEQ >> $DIR/failed"]
    [[entity.condition.action]]
    name = "tell"
    notify = { datagram = "$DIR/told", text = "it died" }
    [[entity.condition.action]]
    name = "poke"
    signal = "USR1"
    [[entity.condition.action]]
    name = "last"
    log = "that was all"
  [[entity.condition]]
  name = "aside"
  on = "death"
  nowait = true
    [[entity.condition.action]]
    name = "log"
    log = "aside"
`

// HAM, its guardian, or both are killed at every step of an action list.
func TestAListInFlightGoesOnAtTheRightStep(t *testing.T) {
	t.Parallel()
	for _, d := range dooms() {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			defer takeTurn()()
			if !killInList(t, d) && !*long {
				t.Errorf("the list has no passage %d of point %v: nobody was killed", d.Passage, d.Point)
			}
		})
	}
}

// dooms are some of the moments at which somebody is killed; with -long all that a list has, and some more.
func dooms() (all []doom) {
	if !*long {
		for i, victim := range []string{"ham", "guardian", "both", "ham", "both", "ham"} {
			all = append(all, doom{victim, pair.PointEffects, 1 + 5*i}, doom{victim, pair.PointHandled, 1 + (3*i)%8})
		}
		return append(all, doom{"ham", pair.PointAppended, 2}, doom{"both", pair.PointAppended, 5})
	}
	for _, victim := range []string{"ham", "guardian", "both"} {
		for point, passages := range map[pair.Point]int{pair.PointHandled: 12, pair.PointAppended: 12, pair.PointEffects: 50} {
			for n := range passages {
				all = append(all, doom{victim, point, n + 1})
			}
		}
	}
	return all
}

// killInList has somebody killed while a list runs, and checks what has become of each action. It reports whether anybody was.
func killInList(t *testing.T, d doom) bool {
	h := begin(t, listOfAllKinds)
	told := h.datagrams("told")
	f := h.follow()
	h.protected()
	first := h.running("p").Process.PID
	up := filepath.Join(h.dir(), "p.up")
	h.until("p is up", func() bool { return os.Remove(up) == nil })

	h.doom(d)
	require.NoError(t, unix.Kill(first, unix.SIGKILL))
	f.await("p/death/last action done") // and no questions: they would be among the passages
	h.protected()
	e := h.running("p")
	require.EqualValues(t, 1, e.Restarts, "broken promise: no restart is lost or doubled")
	require.EqualValues(t, 1, e.Deaths)
	require.Len(t, h.lines("p.starts"), 2, "broken promise: a restart is in effect once")
	require.Equal(t, fmt.Sprint(e.Process.PID), h.lines("p.starts")[1])

	executed := h.lines("executed")
	require.NotEmpty(t, executed, "broken promise: a command is delivered at least once")
	require.Len(t, slices.Compact(executed), 1, "broken promise: with the same seq each time")
	once := len(h.lines("once"))
	require.LessOrEqual(t, once, 1, "broken promise: at most once")
	if once == 0 {
		require.NotEmpty(t, h.lines("failed"), "broken promise: what was not done has failed")
	}
	heard := told()
	require.NotEmpty(t, heard, "broken promise: a notice is delivered at least once")
	for _, m := range heard {
		require.Equal(t, heard[0], m, "broken promise: a repeated notice is the same, its seq too")
		require.Equal(t, executed[0], fmt.Sprint(m.Cause.Seq))
	}
	require.LessOrEqual(t, len(h.lines("p.signals")), 1, "broken promise: a signal is sent at most once")
	for _, name := range []string{"restart", "wait", "wait for it", "execute", "tell", "last"} {
		require.Equal(t, 1, h.told("p/death/"+name+" action done"), "broken promise: each action is done once: %s", name)
	}
	require.Equal(t, 1, h.told("p/aside/log action done"))
	require.Equal(t, 1, h.told("p died"))
	require.Equal(t, 1, h.told("p restarted"))
	f.check()
	return h.executed()
}

// datagrams collects the messages that come in at a unix socket. It returns what returns them.
func (h *host) datagrams(name string) func() []hands.Message {
	h.Helper()
	dir, err := os.Open(h.dir()) // the path may be longer than an address
	require.NoError(h, err)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)})
	require.NoError(h, err)
	var mu sync.Mutex
	var all []hands.Message
	end := make(chan struct{})
	go func() {
		defer close(end)
		for b := make([]byte, 64<<10); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			var m hands.Message
			if err := json.Unmarshal(b[:n], &m); err != nil {
				m.Text = err.Error()
			}
			mu.Lock()
			all = append(all, m)
			mu.Unlock()
		}
	}()
	h.Cleanup(func() {
		_ = c.Close()
		<-end
		_ = dir.Close()
	})
	return func() []hands.Message {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// heavy lets only so many HAMs run at a time: more would only be late together.
var heavy = make(chan struct{}, 4)

func takeTurn() (leave func()) {
	heavy <- struct{}{}
	return func() { <-heavy }
}
