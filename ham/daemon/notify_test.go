package daemon_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// speaker is an entity that says by sd_notify(3) what it is told to, as existing daemons do by themselves.
const speaker = `
[[entity]]
name = "%s"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "speaker", DAEMON_TEST_NAME = "%s" }
stop = [{ signal = "KILL", wait = "5s" }]
`

// tell has a speaker say something, as soon as it listens.
func (h *host) tell(name, text string) {
	h.Helper()
	f, err := os.OpenFile(h.fifo(name), os.O_WRONLY, 0)
	require.NoError(h, err)
	defer f.Close()
	_, err = f.WriteString(strings.ReplaceAll(text, "\n", ";") + "\n")
	require.NoError(h, err)
}

func (h *host) fifo(name string) string { return filepath.Join(h.dir(), name+".fifo") }

// fifos makes those by which speakers are told what to say, and holds them open: so nothing of it is lost.
func (h *host) fifos(names ...string) *host {
	h.Helper()
	for _, name := range names {
		require.NoError(h, unix.Mkfifo(h.fifo(name), 0o600))
		f, err := os.OpenFile(h.fifo(name), os.O_RDWR, 0)
		require.NoError(h, err)
		h.Cleanup(func() { _ = f.Close() })
	}
	return h
}

// runs waits until an entity runs, ready or not.
func (h *host) runs(name string) {
	h.Helper()
	h.until(name+" runs", func() bool { e := h.entity(name); return e != nil && e.Process.Phase == core.Running })
}

// Dependents start when what they depend on is ready, and not when it runs only.
func TestDependentsWaitForRealReadiness(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := prepare(t, fmt.Sprintf(speaker+"ready = { notify = true }\n", "base", "base")+`
[[entity]]
name = "middle"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "speaker", DAEMON_TEST_NAME = "middle" }
stop = [{ signal = "KILL", wait = "5s" }]
ready = { notify = true }
after = [{ entity = "base", restart = true }]
[[entity]]
name = "top"
command = ["sleep", "1000"]
after = ["middle"]
`).fifos("base", "middle").begin()
	h.runs("base")
	require.Equal(t, core.Waiting, h.entity("middle").Process.Phase, "broken promise: to run is not to be ready")
	h.tell("base", "READY=1")
	h.runs("middle")
	require.Equal(t, core.Waiting, h.entity("top").Process.Phase)
	h.tell("middle", "READY=1")
	h.running("top")
	middle := h.running("middle").Process.PID

	h.ask(h.dial(), core.Request{Control: &core.Control{Path: core.Handle{Path: core.Path{Entity: "base"}}, Verb: core.RestartProcess}})
	h.until("the base runs again", func() bool { return h.told("base restarted") == 1 })
	h.tell("base", "READY=1")
	h.until("the middle runs again", func() bool { return h.told("middle restarted") == 1 })
	h.tell("middle", "READY=1")
	require.NotEqual(t, middle, h.running("middle").Process.PID, "broken promise: who says so is restarted with what he depends on")
	require.Equal(t, core.Running, h.running("top").Process.Phase)
}

// What a daemon of systemd says means the same to HAM.
func TestADaemonOfSystemdIsUnderstood(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := prepare(t, fmt.Sprintf(speaker+"ready = { notify = true }\nheartbeat = { period = \"100ms\", low = 2, high = 600, grace = \"100ms\" }\n", "p", "p")+restarts).fifos("p").begin()
	h.runs("p")
	require.False(t, h.entity("p").Process.Ready)
	h.tell("p", "READY=1\nSTATUS=up and running")
	h.running("p")
	h.until("it says how it is", func() bool { return h.entity("p").Status == "up and running" })

	h.until("it is missed", func() bool { return h.entity("p").Pulse.State == core.MissedLow })
	h.tell("p", "WATCHDOG=1")
	h.until("it has recovered", func() bool { return h.told("p heartbeat recovered") >= 1 })

	h.tell("p", "RELOADING=1")
	h.until("it reloads", func() bool { e := h.entity("p"); return e.Pulse.Suspended && !e.Process.Ready })
	missed := h.entity("p").Pulse.Missed
	ham, _ := h.protected()
	h.kill(ham) // what was said holds after a takeover, and what is said then is heard
	h.protected()
	require.True(t, h.entity("p").Pulse.Suspended)
	require.Equal(t, missed, h.entity("p").Pulse.Missed, "broken promise: nothing is missed while it reloads")
	h.tell("p", "READY=1")
	h.running("p")
	h.tell("p", "STOPPING=1")
	h.until("it stops", func() bool { return h.entity("p").Pulse.Suspended })
	h.tell("p", "exit 0")
	h.restarted("p", 1)
	require.Equal(t, "WATCHDOG_USEC=100000", h.lines("p.environ")[0])
}

// Descriptors that a program has stored come back to its next life, also if HAM has had another one meanwhile.
func TestStoredDescriptorsOutliveTheProgramAndHAM(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := prepare(t, fmt.Sprintf(speaker+"fd_store = 4\n", "p", "p")+restarts).fifos("p").begin()
	h.running("p")
	h.tell("p", "store first")
	h.tell("p", "store second")
	h.until("both are stored", func() bool { return len(h.entity("p").FDs) == 2 })
	require.Equal(t, []string{"first", "second"}, h.entity("p").FDs)
	for n := 1; n <= 2; n++ {
		h.protected()
		h.until("the guardian holds copies", func() bool { return h.holds("stored by the first life") })
		h.tell("p", "exit 1")
		h.restarted("p", n)
		h.until("it has told what it got", func() bool { return len(h.lines("p.descriptors")) == n+1 })
		require.Equal(t, "first=stored by the first life second=stored by the first life", h.lines("p.descriptors")[n], "broken promise: they come back, with their names")
		ham, _ := h.protected()
		h.kill(ham)
	}
}

// holds reports whether the guardian has a descriptor of a memfd of that name.
func (h *host) holds(name string) bool {
	h.Helper()
	_, guardian := h.protected()
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", guardian))
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); strings.Contains(target, name) {
			return true
		}
	}
	return false
}

// A listening socket is HAM's: nobody who comes while the program, or HAM, is restarted is refused.
func TestAListeningSocketOutlivesTheProgramAndHAM(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	addr := freeAddr(t)
	h := begin(t, fmt.Sprintf(`
[[entity]]
name = "p"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "activated" }
[[entity.socket]]
name = "web"
network = "tcp"
address = "%s"
`, addr)+restarts)
	h.running("p")
	ask := func() string {
		t.Helper()
		c, err := net.DialTimeout("tcp", addr, patience)
		require.NoError(t, err, "broken promise: nobody is refused")
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		return strings.TrimSpace(line)
	}
	for n := range 3 {
		e := h.restarted("p", n)
		require.Equal(t, fmt.Sprint(e.Process.PID, " web"), ask())
		ham, _ := h.protected()
		id := proc.ID{PID: e.Process.PID, Start: e.Process.Start}
		require.NoError(t, unix.Kill(e.Process.PID, unix.SIGKILL))
		require.NoError(t, unix.Kill(ham, unix.SIGKILL))
		h.until("the program is dead", func() bool { return !id.Alive() }) // whom it still accepts dies with it
		require.NotEqual(t, fmt.Sprint(e.Process.PID, " web"), ask(), "broken promise: who comes meanwhile is served by the next one")
	}
}
