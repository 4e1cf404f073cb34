package hands

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func (b *bench) run(r core.RunCommand) uint64 {
	r.ID, r.As.Admin = b.id(), true
	r.Path = core.Path{Entity: "e", Condition: "death", Action: "act"}
	b.Do(r)
	return r.ID
}

func TestACommandsEndIsItsOutcome(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	require.Equal(t, core.Done{ID: 1, Exit: &core.Exit{Known: true}}, b.done(t, b.run(core.RunCommand{Command: sh("echo fine"), Timeout: patience})))
	d := b.done(t, b.run(core.RunCommand{Command: sh("echo first >&2; echo last; exit 2"), Timeout: patience}))
	require.Equal(t, "exit status 2: first\nlast", d.Err)
	require.Equal(t, &core.Exit{Known: true, Code: 2}, d.Exit)
	require.Equal(t, "ended by SIGKILL", b.done(t, b.run(core.RunCommand{Command: sh("kill -9 $$"), Timeout: patience})).Err)
	require.Contains(t, b.done(t, b.run(core.RunCommand{Command: core.Command{Argv: []string{"/no/such"}}, Timeout: patience})).Err, "no such file")
	d = b.done(t, b.run(core.RunCommand{Command: sh("yes | head -c 100000; echo; echo last; exit 1"), Timeout: patience}))
	require.True(t, strings.HasSuffix(d.Err, "last"))
	require.Less(t, len(d.Err), 2*tailLength)
}

func TestACommandIsToldWhatHappened(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	d := b.done(t, b.run(core.RunCommand{Command: sh(`echo $HAM_ENTITY $HAM_CONDITION $HAM_ACTION $HAM_EVENT $HAM_EVENT_ENTITY $HAM_PID $HAM_STATUS; exit 1`),
		Timeout: patience, Cause: core.Cause{Entity: "dead", Type: core.OnDeath, PID: 17, Exit: &core.Exit{Known: true, Signal: 11}}}))
	require.Equal(t, "exit status 1: e death act death dead 17 SIGSEGV", d.Err)
}

func TestACommandThatTakesTooLongIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	file := filepath.Join(t.TempDir(), "child")
	d := b.done(t, b.run(core.RunCommand{Command: sh("sleep 61 & echo $! > " + file + "; wait"), Timeout: 300 * time.Millisecond}))
	require.Equal(t, "killed after 300ms", d.Err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	s, alive := readStat(child)
	require.True(t, !alive || s.dead(), "a child of the command lives")
}

func TestACommandInTheBackgroundIsDoneWhenItRuns(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, Config{}), newGate(t)
	id := b.run(core.RunCommand{Command: sh("read x < " + g.path + "; exit 5"), Background: true})
	require.Empty(t, b.done(t, id).Err)
	pid, ok := b.findSpawned(id)
	require.True(t, ok)
	g.say(t, "end")
	eventually(t, "it is not reaped", func() bool { _, alive := readStat(pid.PID); return !alive })
	eventually(t, "its failure is not logged", func() bool { return strings.Contains(b.log.String(), "exit status 5") })
}

func TestACancelledCommandIsKilledAndNotTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.run(core.RunCommand{Command: sh("exec sleep 62"), Timeout: time.Hour})
	eventually(t, "it does not start", func() bool { _, ok := b.findSpawned(id); return ok })
	b.Do(core.Cancel{ID: id})
	eventually(t, "it lives", func() bool { _, ok := b.findSpawned(id); return !ok })
	b.done(t, b.run(core.RunCommand{Command: sh("exit 0"), Timeout: patience}))
	for _, e := range b.events {
		require.False(t, e.Done != nil && e.Done.ID == id, "the outcome of a cancelled effect was told")
	}
}

func TestACommandGoesOnWhenTheHandsAreClosed(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, Config{}), newGate(t)
	id := b.run(core.RunCommand{Command: sh("read x < " + g.path), Timeout: time.Hour})
	eventually(t, "it does not start", func() bool { _, ok := b.findSpawned(id); return ok })
	b.Close()
	found, ok := b.findSpawned(id)
	require.True(t, ok, "it was killed")
	g.say(t, "end")
	eventually(t, "it is not reaped", func() bool { _, alive := readStat(found.PID); return !alive })
	for _, e := range b.events {
		require.Nil(t, e.Done, "an outcome was told of what others wait for")
	}
}

func TestADumpShowsWhereEveryThreadStands(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "stuck", Command: sh("trap 'exit 33' TERM; echo ready; while :; do sleep 0.01; done")})
	eventually(t, "it does not start", func() bool { return len(b.log.lines("stuck")) == 1 })
	file := filepath.Join(t.TempDir(), "dump")
	d := b.done(t, b.run(core.RunCommand{Command: core.Command{Argv: []string{DumpCommand, "sigterm"}, Output: core.Output{File: file}}, Cause: core.Cause{Entity: "stuck", PID: id.PID}}))
	require.Empty(t, d.Err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, want := range []string{"=== e/death/act: process " + strconv.Itoa(id.PID) + " of stuck", "Name:\tsh", "/wchan", "cmdline\nsh -c trap"} {
		require.Contains(t, string(text), want)
	}
	require.Equal(t, 33, b.exited(t, id.PID).Exit.Code, "the signal was not sent")
	require.Contains(t, b.done(t, b.run(core.RunCommand{Command: core.Command{Argv: []string{DumpCommand}}})).Err, "no process")
}

func TestAnOutcomeIsToldOnceHoweverManyWantToTellIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	b.ops.start(7, func(o *op) {
		o.done(nil, nil)
		o.done(unix.EIO, nil)
	})
	b.done(t, 7)
	b.Do(core.SendSignal{ID: 8, Signal: core.Signal{PID: 1 << 22, Signal: 15}, As: core.Owner{Admin: true}})
	require.Contains(t, b.done(t, 8).Err, "process is gone")
	n := 0
	for _, e := range b.events {
		if e.Done != nil && e.Done.ID == 7 {
			n++
		}
	}
	require.Equal(t, 1, n)
}
