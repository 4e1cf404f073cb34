package hands

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

func (b *bench) stop(id proc.ID, group bool, as core.Owner, steps ...core.KillStep) uint64 {
	effect := b.id()
	b.Do(core.End{ID: effect, Target: core.Target{Entity: "e", PID: id.PID, Start: id.Start}, Steps: steps, Group: group, As: as})
	return effect
}

var admin = core.Owner{Admin: true}

// start starts a program that says when it is ready.
func (b *bench) startReady(t *testing.T, entity, script string) proc.ID {
	id := b.spawn(t, core.Spawn{Entity: entity, Command: sh(script)})
	eventually(t, entity+" does not start", func() bool { return len(b.log.lines(entity)) > 0 })
	return id
}

func TestAProcessIsEndedWithNoMoreForceThanItTakes(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	willing := b.startReady(t, "willing", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done")
	require.Empty(t, b.done(t, b.stop(willing, true, admin)).Err) // DefaultStop
	require.Equal(t, core.Exit{Known: true, Code: 3}, b.exited(t, willing.PID).Exit)

	stubborn := b.startReady(t, "stubborn", "trap '' TERM HUP; echo ready; while :; do sleep 0.01; done")
	steps := []core.KillStep{{Signal: 1, Wait: 10 * time.Millisecond}, {Signal: 15, Wait: 10 * time.Millisecond}}
	require.Contains(t, b.done(t, b.stop(stubborn, true, admin, steps...)).Err, "has outlived SIGTERM")
	require.Empty(t, b.done(t, b.stop(stubborn, true, admin, append(steps, core.KillStep{Signal: 9, Wait: patience})...)).Err)
	require.Equal(t, core.Exit{Known: true, Signal: 9}, b.exited(t, stubborn.PID).Exit)
	require.Empty(t, b.done(t, b.stop(stubborn, true, admin)).Err, "one that was gone before")
}

func TestTheEndOfAGroupIsThatOfItsLastProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	leader := b.startReady(t, "leader", `sh -c "trap '' TERM; echo ready; while :; do sleep 0.01; done" & wait`)
	steps := []core.KillStep{{Signal: 15, Wait: 10 * time.Millisecond}, {Signal: 9, Wait: patience}}
	require.Empty(t, b.done(t, b.stop(leader, true, admin, steps...)).Err)
	require.False(t, groupLives(leader.PID), "a process of the group lives")
	require.Equal(t, 15, b.exited(t, leader.PID).Exit.Signal)
}

func TestWithoutItsGroupAProcessIsEndedAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	leader := b.startReady(t, "leader", "sleep 63 & echo ready; wait")
	require.Empty(t, b.done(t, b.stop(leader, false, admin)).Err)
	require.True(t, groupLives(leader.PID), "a process of the group was ended")
	require.NoError(t, unix.Kill(-leader.PID, unix.SIGKILL))
}

func TestACancelledEndGoesNoFurther(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.startReady(t, "stubborn", "trap 'echo asked' TERM; echo ready; while :; do sleep 0.01; done")
	effect := b.stop(id, false, admin, core.KillStep{Signal: 15, Wait: time.Hour}, core.KillStep{Signal: 9, Wait: time.Hour})
	eventually(t, "the first step is not taken", func() bool { return len(b.log.lines("stubborn")) == 2 })
	b.Do(core.Cancel{ID: effect})
	eventually(t, "it goes on", func() bool {
		b.ops.mu.Lock()
		defer b.ops.mu.Unlock()
		return len(b.ops.all) == 0
	})
	s, alive := readStat(id.PID)
	require.True(t, alive && !s.dead())
}

func TestAnOwnerSignalsHisOwnProcessesOnly(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t)
	b := newBench(t, Config{})
	daemon := core.Owner{UID: 1, GID: 1}
	roots := b.startReady(t, "roots", "echo ready; exec sleep 64")
	command := sh("echo ready; exec sleep 65")
	command.User = "daemon"
	his := b.spawn(t, core.Spawn{Entity: "his", Command: command})
	eventually(t, "it does not start", func() bool { return len(b.log.lines("his")) == 1 })

	for _, group := range []bool{false, true} {
		require.Contains(t, b.done(t, b.stop(roots, group, daemon)).Err, "the owner has no right to signal process")
		id := b.id()
		b.Do(core.SendSignal{ID: id, Signal: core.Signal{PID: roots.PID, Signal: 9, Group: group}, As: daemon})
		require.Contains(t, b.done(t, id).Err, "the owner has no right to signal process")
	}
	require.Empty(t, b.done(t, b.stop(his, true, daemon)).Err)
	s, alive := readStat(roots.PID)
	require.True(t, alive && !s.dead(), "somebody else's process was signalled")
}

func TestWhatIsDoneForAnOwnerIsDoneWithHisRights(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t)
	dir := openDir(t)
	require.NoError(t, unix.Mkdir(dir+"/private", 0o700))
	stat := func() error { var st unix.Stat_t; return unix.Stat(dir+"/private/file", &st) }
	require.ErrorIs(t, as(core.Owner{UID: 1, GID: 1}, stat), unix.EACCES)
	require.ErrorIs(t, stat(), unix.ENOENT, "his rights have stayed with the thread")
	require.ErrorIs(t, as(admin, stat), unix.ENOENT)
	f, err := openAppend(core.Owner{UID: 1, GID: 1}, dir+"/his")
	require.NoError(t, err)
	defer f.Close()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(dir+"/his", &st))
	require.Equal(t, uint32(1), st.Uid)
}
