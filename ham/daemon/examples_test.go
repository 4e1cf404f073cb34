package daemon_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// The examples of QNX's guide, as real runs.

// restarts is the condition that most of them have.
const restarts = `
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
`

// Simple restart: attach inetd, restart it when it dies.
func TestSimpleRestart(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "inetd"
command = ["sleep", "1000"]
`+restarts)
	first := h.running("inetd").Process.PID
	h.kill(first)
	e := h.restarted("inetd", 1)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.Process.PID))
	require.NoError(t, err)
	require.Contains(t, string(b), "SigIgn:\t0000000000000000\n", "broken promise: what HAM starts ignores no signal")
	require.NotEqual(t, first, e.Process.PID)
	require.EqualValues(t, 1, e.Deaths)
	require.Equal(t, int(unix.SIGKILL), e.LastExit.Signal)
}

// Compound restart: after the restart of a server wait until it is there, and only then mount again what it serves.
func TestCompoundRestart(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	addr := freeAddr(t)
	h := begin(t, strings.ReplaceAll(`
[[entity]]
name = "server"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "serve", DAEMON_TEST_ADDR = "$ADDR" }
ready = { tcp = "$ADDR" }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "unmount"
    execute = ["/bin/sh", "-c", "echo unmount >> $DIR/order"]
    [[entity.condition.action]]
    name = "restart"
    restart = {}
    [[entity.condition.action]]
    name = "wait"
    waitfor = { tcp = "$ADDR", timeout = "10s" }
    break_on_fail = true
    [[entity.condition.action]]
    name = "mount"
    execute = ["/bin/sh", "-c", "echo mount of $HAM_ENTITY after $HAM_EVENT by $HAM_STATUS >> $DIR/order"]
`, "$ADDR", addr))
	h.kill(h.running("server").Process.PID)
	h.until("all has been done", func() bool { return h.told("server/death/mount action done") == 1 })
	require.Equal(t, []string{"serves", "unmount", "serves", "mount of server after death by SIGKILL"}, h.lines("order"), "broken promise: in order")
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// stuck is a program whose heartbeat is within what gets stuck, and what is then done.
const stuck = `
[[entity]]
name = "p"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "$ROLE", DAEMON_TEST_NAME = "p" }
heartbeat = { period = "40ms", low = 2, high = 5, grace = "1s" }
` + restarts + `
  [[entity.condition]]
  name = "low"
  on = "heartbeat_missed_low"
  nowait = true
    [[entity.condition.action]]
    name = "log"
    log = "it is slow"
  [[entity.condition]]
  name = "high"
  on = "heartbeat_missed_high"
    [[entity.condition.action]]
    name = "save"
    dump = ["@dump"]
    [[entity.condition.action]]
    name = "script"
    dump = ["/bin/sh", "-c", "cat /proc/$HAM_PID/stat > $DIR/postmortem"]
    [[entity.condition.action]]
    name = "kill"
    kill = { steps = [{ signal = "KILL", wait = "5s" }] }
`

// Two threads take two locks, each the one that the other has first. The heartbeat is sent within both.
func TestADeadlockedProcessIsDumpedKilledAndRestarted(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	killsWhatIsStuck(t, "deadlock")
}

// One thread takes the lock and does not let go of it: the other one, which beats, starves.
func TestAStarvedProcessIsDumpedKilledAndRestarted(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	killsWhatIsStuck(t, "starve")
}

func killsWhatIsStuck(t *testing.T, role string) {
	h := begin(t, strings.Replace(stuck, "$ROLE", role, 1))
	f := h.follow()
	first := h.running("p").Process.PID
	require.NoError(t, os.WriteFile(filepath.Join(h.dir(), "stick"), nil, 0o600))
	f.await("p restarted")
	f.await("p/death/restart action done")
	var order []string
	f.mu.Lock()
	for i := range f.all {
		if x := &f.all[i]; strings.HasPrefix(string(x.What), "heartbeat missed") || x.What == core.HasDied || x.What == core.HasRestarted || x.What == core.HasDone && x.Action != "kill" {
			require.Contains(t, []int{0, first, h.running("p").Process.PID}, x.PID)
			order = append(order, inWords(x))
		}
	}
	f.mu.Unlock()
	require.Equal(t, []string{"p heartbeat missed low", "p/low/log action done", "p heartbeat missed high", "p/high/save action done", "p/high/script action done",
		"p died", "p restarted", "p/death/restart action done"}, order, "broken promise: one stage after the other")
	require.Contains(t, h.lines("postmortem")[0], fmt.Sprint(first, " ("), "broken promise: the dump is of the process that was stuck")
	require.Contains(t, h.log.String(), "it is slow")
	require.Equal(t, core.Beating, h.entity("p").Pulse.State, "broken promise: the new one beats")
	require.Equal(t, int(unix.SIGKILL), h.entity("p").LastExit.Signal)
	require.Contains(t, h.log.String(), fmt.Sprintf("process %d of p", first), "broken promise: what /proc tells of it is saved")
}

// State transitions with sets and negation, and zero as a state like any other.
func TestSubscribersHearOfTheTransitionsThatTheyAskedFor(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "engine"
  [[entity.condition]]
  name = "to 1 or 2"
  on = "state"
  to = [1, 2]
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo to 1 or 2: $HAM_STATE >> $DIR/heard"]
  [[entity.condition]]
  name = "out of good"
  on = "state"
  from = [0]
  to = { not = [0, 1] }
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo out of good: $HAM_STATE >> $DIR/heard"]
  [[entity.condition]]
  name = "any"
  on = "state"
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo any: $HAM_STATE >> $DIR/heard"]
`)
	h.until("it is declared", func() bool { return h.entity("engine") != nil })
	c := h.dial()
	for _, state := range []int64{0, 1, 1, 0, 5, 2} {
		h.ask(c, core.Request{State: &core.ReportState{Entity: core.Handle{Path: core.Path{Entity: "engine"}}, State: state}})
	}
	want := []string{"any: 0", "to 1 or 2: 1", "any: 1", "any: 0", "out of good: 5", "any: 5", "to 1 or 2: 2", "any: 2"}
	h.until("all has been heard", func() bool { return len(h.lines("heard")) >= len(want) })
	require.Equal(t, want, h.lines("heard"), "broken promise: in order, and what did not change is no transition")
}

// Raised conditions with filters, and one that raises the next.
func TestARaiseIsFilteredAndMayLeadToAnother(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "sensor"
  [[entity.condition]]
  name = "hot"
  on = "raise"
  type = [1]
  severity = { not = [0] }
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo hot $HAM_RAISE_SEVERITY >> $DIR/heard"]
    [[entity.condition.action]]
    name = "alarm"
    raise = { entity = "alarm", type = 9, class = 2, severity = 3 }
[[entity]]
name = "alarm"
  [[entity.condition]]
  name = "rings"
  on = "raise"
  class = [2]
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo alarm $HAM_RAISE_TYPE >> $DIR/heard"]
`)
	h.until("they are declared", func() bool { return h.entity("alarm") != nil })
	c := h.dial()
	for _, r := range []core.Raise{{Type: 2, Severity: 1}, {Type: 1, Severity: 0}, {Type: 1, Severity: 4}} {
		r.Entity = "sensor"
		h.ask(c, core.Request{Raise: &r})
	}
	h.until("the alarm rings", func() bool { return len(h.lines("heard")) >= 2 })
	require.Equal(t, []string{"hot 4", "alarm 9"}, h.lines("heard"))
	require.Equal(t, 4, h.told("sensor raised")+h.told("alarm raised"), "each raise is told, also one that nobody waits for")
}

// A placeholder is declared before its process exists.
func TestAPlaceholderComesToLifeWhenItsProcessIsAttached(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "late"
  [[entity.condition]]
  name = "here"
  on = "attach"
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo $HAM_PID >> $DIR/here"]
[[entity]]
name = "other"
command = ["sleep", "1000"]
`)
	pid := h.running("other").Process.PID
	e := h.entity("late")
	require.Equal(t, core.Placeholder, e.Kind)
	require.Equal(t, core.Idle, e.Process.Phase)
	h.ask(h.dial(), core.Request{Attach: &core.Attach{Entity: "late", PID: pid}})
	h.until("the condition has fired", func() bool { return len(h.lines("here")) == 1 })
	require.Equal(t, []string{fmt.Sprint(pid)}, h.lines("here"))
	require.Equal(t, core.Attached, h.entity("late").Kind)
	h.kill(pid)
	h.until("it is a placeholder again", func() bool { return h.entity("late").Kind == core.Placeholder })
	require.Equal(t, 1, h.told("late died"), "broken promise: whoever started it")
}

// The global entity stands for all of them: here a log of any death.
func TestAnyDeathIsLogged(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "a"
command = ["sleep", "1000"]
[[entity]]
name = "b"
command = ["sleep", "1000"]
[[global.condition]]
name = "any death"
on = "death"
  [[global.condition.action]]
  name = "log"
  execute = ["/bin/sh", "-c", "echo $HAM_EVENT_ENTITY >> $DIR/deaths"]
`)
	for i, name := range []string{"a", "b"} {
		h.kill(h.running(name).Process.PID)
		h.until("its death is logged", func() bool { return len(h.lines("deaths")) == i+1 })
	}
	require.Equal(t, []string{"a", "b"}, h.lines("deaths"))
}
