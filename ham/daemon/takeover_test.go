package daemon_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/pair"
)

const twoOfThem = `
[[entity]]
name = "stays"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "mark", DAEMON_TEST_NAME = "stays" }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
  [[entity.condition]]
  name = "raised"
  on = "raise"
  independent = true
    [[entity.condition.action]]
    name = "wait"
    waitfor = { path = "$DIR/go", timeout = "30s" }
    [[entity.condition.action]]
    name = "then"
    execute = ["/bin/sh", "-c", "echo $HAM_EVENT_SEQ >> $DIR/then"]

[[entity]]
name = "dies"
command = ["sleep", "1000"]
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
`

// killBoth kills both halves of HAM in one moment.
func (h *host) killBoth() (ham, guardian int) {
	h.Helper()
	ham, guardian = h.protected()
	for _, pid := range []int{ham, guardian} { // neither can do anything about the death of the other
		require.NoError(h, unix.Kill(pid, unix.SIGSTOP))
	}
	h.kill(guardian)
	h.kill(ham)
	return ham, guardian
}

func TestTheKeeperStartsHAMAgainWhenBothHalvesDie(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	f := h.follow()
	c := h.dial()
	stays, dies := h.running("stays"), h.running("dies")
	h.ask(c, core.Request{Raise: &core.Raise{Entity: "stays", Type: 1}})
	h.ask(c, core.Request{State: &core.ReportState{Entity: core.Handle{Path: core.Path{Entity: "stays"}}, State: 7}})
	h.until("the list waits", func() bool { return len(h.jobs()) == 1 })
	before, job := h.entity("stays"), h.jobs()[0]

	h.killBoth()
	require.NoError(t, unix.Kill(dies.Process.PID, unix.SIGKILL)) // and nobody is there to see it
	h.restarted("dies", 1)
	after := h.entity("stays")
	require.Equal(t, stays.Process.PID, after.Process.PID, "broken promise: what runs is not touched")
	require.Len(t, h.lines("stays.starts"), 1, "broken promise: nor is it started twice")
	require.Equal(t, before, after, "broken promise: the record of an entity is as it was")
	require.Equal(t, job, h.jobs()[0], "broken promise: a list in flight is there")
	require.NoError(t, os.WriteFile(filepath.Join(h.dir(), "go"), nil, 0o600))
	h.until("the list goes on", func() bool { return h.told("stays/raised/then action done") == 1 })
	require.Len(t, h.lines("then"), 1)
	f.check()
	require.NotZero(t, h.told(" takeover"), "broken promise: HAM tells of its own failure")
	h.protected()
}

// jobs returns the lists in flight.
func (h *host) jobs() (all []*core.Job) {
	h.Helper()
	for _, l := range h.read(talk.Query{Op: talk.OpRunning}) {
		all = append(all, l.Job)
	}
	return all
}

func TestAClientAsksOnWhateverBecomesOfHAM(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	c := h.dial()
	state := func(n int64) {
		t.Helper()
		h.ask(c, core.Request{State: &core.ReportState{Entity: core.Handle{Path: core.Path{Entity: "stays"}}, State: n}})
	}
	h.running("stays")
	for n := range int64(3) {
		state(2 * n)
		ham, _ := h.protected()
		h.kill(ham)
		state(2*n + 1)
	}
	require.Equal(t, 6, h.told("stays state"), "broken promise: what HAM has granted is done once")
	require.EqualValues(t, 5, h.entity("stays").State)
}

func TestAStoppedHAMIsReplaced(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	pid := h.running("dies").Process.PID
	ham, guardian := h.protected()
	require.NoError(t, unix.Kill(ham, unix.SIGSTOP))
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	h.until("the guardian is HAM", func() bool { p := h.page().Primary; return p != nil && p.PID == guardian })
	h.restarted("dies", 1)
	require.Equal(t, 1, h.told("dies died"))
	h.protected()
}

func TestAPlannedSwitchOfHAMLosesNothing(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	f := h.follow()
	stays := h.running("stays").Process.PID
	h.running("dies")
	h.ask(h.dial(), core.Request{Raise: &core.Raise{Entity: "stays", Type: 1}})
	for n := 1; n <= 4; n++ {
		h.protected()
		pid := h.entity("dies").Process.PID
		killed := make(chan error, 1)
		go func() { killed <- unix.Kill(pid, unix.SIGKILL) }()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		require.NoError(t, pair.Switch(ctx, h.root, talk.Pair))
		cancel()
		require.NoError(t, <-killed)
		h.restarted("dies", n)
	}
	require.NoError(t, os.WriteFile(filepath.Join(h.dir(), "go"), nil, 0o600))
	h.until("the list goes on", func() bool { return h.told("stays/raised/then action done") == 1 })
	require.Len(t, h.lines("then"), 1, "broken promise: a command is not run again by a switch")
	require.Equal(t, stays, h.entity("stays").Process.PID)
	require.Equal(t, 4, h.told("dies died"))
	require.Zero(t, h.told(" takeover"), "broken promise: a planned switch is no failure")
	require.Zero(t, h.status().Failures)
	f.check()
}

// status returns what is kept of HAM itself.
func (h *host) status() *core.Root {
	h.Helper()
	return h.read(talk.Query{Op: talk.OpRoot})[0].Root
}

func TestHAMGoesOnWithoutItsKeeper(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	stays := h.running("stays").Process.PID
	ham, guardian := h.protected()
	require.NoError(t, h.cmd.Process.Kill())
	<-h.end
	h.kill(h.running("dies").Process.PID)
	h.restarted("dies", 1)

	h.launch() // another keeper
	h.kill(h.running("dies").Process.PID)
	h.restarted("dies", 2)
	nowHAM, nowGuardian := h.protected()
	require.Equal(t, [2]int{ham, guardian}, [2]int{nowHAM, nowGuardian}, "broken promise: a keeper finds the HAM that is there")
	require.Equal(t, stays, h.entity("stays").Process.PID)
	h.killBoth()
	h.until("HAM is there again", func() bool { p := h.page().Primary; return p != nil && p.PID != ham && alive(p) })
	require.Equal(t, stays, h.entity("stays").Process.PID)
}

func TestASecondKeeperIsRefused(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	h.protected()
	first, end := h.cmd, h.end
	h.launch()
	select {
	case <-h.end:
	case <-time.After(patience):
		require.FailNow(t, "broken promise: one process keeps HAM", "%s", h.log)
	}
	require.Equal(t, 1, h.cmd.ProcessState.ExitCode())
	require.Contains(t, h.log.String(), "HAM is kept by another process")
	h.cmd, h.end = first, end
}

func TestSignalsToTheHalvesDoNothing(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, twoOfThem)
	h.running("stays")
	ham, guardian := h.protected()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
		require.NoError(t, unix.Kill(ham, sig))
		require.NoError(t, unix.Kill(guardian, sig))
	}
	h.kill(h.running("dies").Process.PID)
	h.restarted("dies", 1)
	nowHAM, nowGuardian := h.protected()
	require.Equal(t, [2]int{ham, guardian}, [2]int{nowHAM, nowGuardian}, "broken promise: stopping needs the explicit verb")
}

func TestTheKeeperStopsDependentsFirstAndWithForceIfNeedBe(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	const template = `
[[entity]]
name = "%s"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "stubborn", DAEMON_TEST_NAME = "%s", DAEMON_TEST_STUBBORN = "%s" }
after = [%s]
ready = { notify = true }
stop = [{ signal = "TERM", wait = "%s" }, { signal = "KILL", wait = "10s" }]
`
	h := begin(t, fmt.Sprintf(template, "disk", "disk", "", "", "20s")+
		fmt.Sprintf(template, "base", "base", "yes", `"disk"`, "300ms")+
		fmt.Sprintf(template, "top", "top", "", `"base"`, "20s"))
	h.running("top")
	f := h.follow()
	require.NoError(t, h.cmd.Process.Signal(unix.SIGTERM))
	<-h.end
	require.Equal(t, 0, h.cmd.ProcessState.ExitCode())
	require.Equal(t, []string{"top TERM", "base TERM", "disk TERM"}, h.lines("stops"), "broken promise: dependents first, one after the other")
	var stopped []string
	f.mu.Lock()
	for _, x := range f.all {
		if x.What == core.HasStopped {
			stopped = append(stopped, fmt.Sprintf("%s %t", x.Entity, x.Exit != nil && x.Exit.Signal == int(unix.SIGKILL)))
		}
	}
	f.mu.Unlock()
	require.Equal(t, []string{"top false", "base true", "disk false"}, stopped, "broken promise: who ignores SIGTERM is killed")
	require.Empty(t, h.left(), "broken promise: nothing is left")
	require.True(t, h.page().Stopped)
}

// HAM is killed again and again while its programs die one after the other.
func TestNoDeathIsLostOrDoubledByTakeovers(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	const programs = 20
	deaths, every := 300, 50
	if *long {
		deaths = 1000
	}
	var toml strings.Builder
	for i := range programs {
		fmt.Fprintf(&toml, `
[[entity]]
name = "p%d"
command = ["sleep", "1000"]
restart = { limit = -1, delays = ["1ms"] }
  [[entity.condition]]
  name = "death"
  on = "death"
  independent = true
    [[entity.condition.action]]
    name = "restart"
    restart = {}
`, i)
	}
	h := begin(t, toml.String())
	f := h.follow()
	h.protected()
	killed := map[int]string{} // pid: its entity
	next := every
	for end := time.Now().Add(2 * patience); len(killed) < deaths; {
		require.True(t, time.Now().Before(end), "broken promise: what dies is restarted")
		for _, l := range h.read(talk.Query{Op: talk.OpEntities}) {
			e := l.Entity
			if e.Process.Phase != core.Running || killed[e.Process.PID] != "" || len(killed) >= deaths {
				continue
			}
			id := proc.ID{PID: e.Process.PID, Start: e.Process.Start}
			if p, err := proc.Open(id); err == nil {
				require.NoError(t, p.Signal(unix.SIGKILL))
				_ = p.Close()
				killed[e.Process.PID] = e.Name
			}
		}
		if len(killed) >= next {
			next += every
			ham, _ := h.protected()
			require.NoError(t, unix.Kill(ham, unix.SIGKILL))
		}
	}
	h.until("all deaths have been told", func() bool { return h.status().Died >= uint64(deaths) })
	h.until("all have been restarted", func() bool { return h.status().Restarted >= uint64(deaths) })
	f.check()
	told := map[int]string{}
	for _, x := range f.all {
		if x.What == core.HasDied {
			require.Empty(t, told[x.PID], "broken promise: a death is told once: %d of %s", x.PID, x.Entity)
			told[x.PID] = x.Entity
		}
	}
	require.Equal(t, killed, told, "broken promise: every death is told")
	root := h.status()
	require.EqualValues(t, deaths, root.Died)
	require.EqualValues(t, deaths, root.Restarted, "broken promise: one restart for one death")
	require.EqualValues(t, deaths/every, root.Failures)
}
