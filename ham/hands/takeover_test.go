package hands

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// other is the process that was HAM before, under a keeper.
type other struct {
	pid int
	out *bufio.Scanner
}

// startOther starts a HAM that performs the effects.
func startOther(t *testing.T, todo effects) *other {
	t.Helper()
	text, err := json.Marshal(todo)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	keeper := exec.Command(self)
	keeper.Env = append(os.Environ(), roleEnv+"=keeper", effectsEnv+"="+string(text), "GOCOVERDIR="+t.TempDir())
	keeper.Stderr = os.Stderr
	in, err := keeper.StdinPipe()
	require.NoError(t, err)
	out, err := keeper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, keeper.Start())
	t.Cleanup(func() { // after the programs have been ended, as it reaps them
		in.Close()
		out.Close()
		require.NoError(t, keeper.Wait())
	})
	o := &other{out: bufio.NewScanner(out)}
	require.True(t, o.out.Scan())
	o.pid, err = strconv.Atoi(o.out.Text())
	require.NoError(t, err)
	return o
}

// spawned waits until it has started its next program.
func (o *other) spawned(t *testing.T) core.Spawned {
	t.Helper()
	for o.out.Scan() {
		var e core.Event
		require.NoError(t, json.Unmarshal(o.out.Bytes(), &e))
		if e.Spawned != nil {
			require.Empty(t, e.Spawned.Err)
			endWithTest(t, proc.ID{PID: e.Spawned.PID, Start: e.Spawned.Start})
			return *e.Spawned
		}
	}
	require.FailNow(t, "HAM died too early")
	return core.Spawned{}
}

// kill kills it, and returns when it is no more.
func (o *other) kill(t *testing.T) {
	t.Helper()
	id, err := proc.Identify(o.pid)
	require.NoError(t, err)
	p, err := proc.Open(id)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Fence(patience))
}

// gate is a pipe at which programs wait for what they are told.
type gate struct {
	path string
	*os.File
}

func newGate(t testing.TB) gate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return gate{path, f}
}

func (g gate) say(t testing.TB, line string) {
	t.Helper()
	_, err := g.WriteString(line + "\n")
	require.NoError(t, err)
}

func TestAProgramOutlivesHAMAndTheNextOneMissesNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 5} {
		dir, g := t.TempDir(), newGate(t)
		script := "exec 3< " + g.path + "; echo one; read x <&3; echo two; read x <&3; echo three; exit " + strconv.Itoa(status)
		o := startOther(t, effects{Dir: dir, Do: []core.Spawn{{ID: 7, Entity: "program", Command: sh(script), As: core.Owner{Admin: true}}}})
		s := o.spawned(t)
		o.kill(t)
		g.say(t, "go on, nobody is there to read")

		b := newBench(t, Config{Dir: dir})
		b.Do(core.Watch{Target: core.Target{Entity: "program", PID: s.PID, Start: s.Start}, Adopted: true})
		eventually(t, "output written while there was no HAM is lost", func() bool {
			lines := b.log.lines("program")
			return len(lines) > 0 && lines[len(lines)-1] == "two"
		})
		b.performed("program")
		g.say(t, "end")
		got := b.exited(t, s.PID)
		require.Equal(t, core.Exit{Known: true, Code: status}, got.Exit, "the end of somebody else's child")
		eventually(t, "the last words are lost", func() bool { return strings.HasSuffix(b.log.String(), "line=three\n") })
		eventually(t, "the pipe stays", func() bool {
			_, err := os.Stat(b.placeOfEntity("program").file(pipeFile))
			return os.IsNotExist(err)
		})
	}
}

func TestAStartThatWasInFlightIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]core.Command{
		"found by its environment":        sh("sleep 60 & sleep 60; wait"),
		"that has forgotten where it was": {Argv: []string{"env", "-i", "sleep", "60"}}, // as programs do that set their title
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			startTwice(t, command)
		})
	}
}

func startTwice(t *testing.T, command core.Command) {
	dir := t.TempDir()
	again := core.Spawn{ID: 7, Entity: "program", Command: command, As: core.Owner{Admin: true}}
	o := startOther(t, effects{Dir: dir, Do: []core.Spawn{again}})
	s := o.spawned(t)
	o.kill(t)

	b := newBench(t, Config{Dir: dir})
	again.Again = true
	b.Do(again)
	require.Equal(t, s, b.spawned(t, 7), "the process that was started under this ID was not found")
	b.Do(core.SendSignal{ID: 100, Signal: core.Signal{PID: s.PID, Signal: 9, Group: true}, As: core.Owner{Admin: true}})
	require.Equal(t, core.Exit{Known: true, Signal: 9}, b.exited(t, s.PID).Exit, "it is not watched")

	next := again
	next.ID, next.Command = 8, sh("exit 4")
	b.Do(next)
	require.Equal(t, 4, b.exited(t, b.spawned(t, 8).PID).Exit.Code, "what had not been started was not started")
}

func TestAnotherHAMsProcessIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	b, stranger := newBench(t, Config{}), newBench(t, Config{})
	theirs := stranger.spawn(t, core.Spawn{Entity: "program", Command: sh("exec sleep 60")}) // ID 1
	b.Do(core.Spawn{ID: 1, Entity: "program", Command: sh("exec sleep 60"), As: core.Owner{Admin: true}, Again: true})
	ours := b.spawned(t, 1)
	endWithTest(t, proc.ID{PID: ours.PID, Start: ours.Start})
	require.NotEqual(t, theirs.PID, ours.PID)
}

func TestACommandThatOutlivedHAMIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), newGate(t)
	again := core.RunCommand{ID: 9, Path: core.Path{Entity: "e", Condition: "c", Action: "a"}, As: core.Owner{Admin: true}, Timeout: patience,
		Command: sh("read x < " + g.path + "; echo why; exit 6")}
	o := startOther(t, effects{Dir: dir, Run: []core.RunCommand{again}})
	b := newBench(t, Config{})
	b.cfg.Dir = dir // looks only
	eventually(t, "the command is not started", func() bool { _, ok := b.findSpawned(9); return ok })
	o.kill(t)

	b = newBench(t, Config{Dir: dir})
	again.Again = true
	b.Do(again)
	eventually(t, "the command is not watched", func() bool { return b.watches() == 1 })
	g.say(t, "end")
	d := b.done(t, 9)
	require.Equal(t, "exit status 6: why", d.Err)
	require.Equal(t, &core.Exit{Known: true, Code: 6}, d.Exit)
	eventually(t, "the place of the command stays", func() bool {
		_, err := os.Stat(string(b.placeOfCommand(9)))
		return os.IsNotExist(err)
	})
}

func TestWatchingAProcessThatIsGoneTellsSoAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "first", Command: sh("exit 0")})
	b.exited(t, id.PID)
	b.Do(core.Watch{Target: core.Target{Entity: "second", PID: id.PID, Start: id.Start + 1}})
	got := await(t, b, "the end", func(e core.Event) (core.Exited, bool) {
		return deref(e.Exited), e.Exited != nil && e.Exited.Entity == "second"
	})
	require.Equal(t, core.Exited{Entity: "second", PID: id.PID, Start: id.Start + 1}, got)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
