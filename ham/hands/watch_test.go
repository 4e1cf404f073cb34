package hands

import (
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

func TestManyDeathsAtOnceAreAllTold(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, Config{}), newGate(t)
	const many = 100
	c := core.Command{Argv: []string{"sleep", "66"}, Output: core.Output{Drop: true}}
	var all []proc.ID
	for i := range many {
		all = append(all, b.spawn(t, core.Spawn{Entity: strconv.Itoa(i), Command: c}))
	}
	g.Close()
	for _, id := range all {
		require.NoError(t, unix.Kill(id.PID, unix.SIGKILL))
	}
	for i, id := range all {
		require.Equal(t, core.Exited{Entity: strconv.Itoa(i), PID: id.PID, Start: id.Start, Exit: core.Exit{Known: true, Signal: 9}}, b.exited(t, id.PID))
	}
}

func TestAProcessWhoseParentDoesNotReapIsToldAllTheSame(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]core.Exit{"exit 6": {Known: true, Code: 6}, "exit 0": {}} {
		b := newBench(t, Config{})
		// Its parent becomes a program that knows nothing of it.
		parent := b.startReady(t, "parent", "sh -c 'echo $$; read x < /dev/tty; "+script+"' & exec sleep 67")
		child, err := strconv.Atoi(b.log.lines("parent")[0])
		require.NoError(t, err)
		id, err := proc.Identify(child)
		require.NoError(t, err)
		_ = parent
		b.Do(core.Watch{Target: core.Target{Entity: "child", PID: id.PID, Start: id.Start}})
		require.Equal(t, want, b.exited(t, id.PID).Exit)
	}
}

func TestAWatchEndsTheOneBeforeAndUnwatchEndsItQuietly(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	first := b.spawn(t, core.Spawn{Entity: "e", Command: sh("exec sleep 68")})
	second := b.spawn(t, core.Spawn{Entity: "f", Command: sh("exec sleep 69")})
	b.Do(core.Watch{Target: core.Target{Entity: "e", PID: second.PID, Start: second.Start}})
	b.Do(core.Unwatch{Entity: "f"})
	b.performed("e")
	b.performed("f")
	require.Equal(t, 1, b.watches())
	require.NoError(t, unix.Kill(first.PID, unix.SIGKILL))
	eventually(t, "a child that is no longer watched is not reaped", func() bool { _, alive := readStat(first.PID); return !alive })
	require.NoError(t, unix.Kill(second.PID, unix.SIGKILL))
	require.Equal(t, "e", b.exited(t, second.PID).Entity)
	for _, e := range b.events {
		require.False(t, e.Exited != nil && e.Exited.PID == first.PID)
	}
}

func TestAProcessThatCannotBeWatchedAtPresentIsWatchedLater(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "parent", Command: sh("exec sleep 73")})
	b.lanes.do("e", func() {
		e := b.entity("e")
		e.process = id
		e.later(id, false, unix.EMFILE)
	})
	eventually(t, "it is never watched", func() bool { return b.watches() == 2 })
	require.NoError(t, unix.Kill(id.PID, unix.SIGKILL))
	await(t, b, "its end", func(e core.Event) (bool, bool) { return true, e.Exited != nil && e.Exited.Entity == "e" })
	require.Contains(t, b.log.String(), "cannot be watched at present")
}

func TestOlderKernelsSignalGroupsByNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "leader", Command: sh("sleep 74 & wait")})
	pidfd, _, err := openPidfd(id)
	require.NoError(t, err)
	defer unix.Close(pidfd)
	require.NoError(t, signalGroup(pidfd, id.PID, unix.SIGKILL))
	require.Equal(t, 9, b.exited(t, id.PID).Exit.Signal)
	eventually(t, "its child lives", func() bool { return !groupLives(id.PID) })
	eventually(t, "a group without its leader was signalled", func() bool { return signalGroup(pidfd, id.PID, 0) == unix.ESRCH })
}

func TestHAMsLinesAreLoggedInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	for i := range 20 {
		b.Do(core.WriteLog{Path: core.Path{Entity: "e", Condition: "c", Action: "a"}, Text: "line-" + strconv.Itoa(i), Level: 2})
	}
	eventually(t, "a line is lost", func() bool { return strings.Contains(b.log.String(), "line-19") })
	last := -1
	for line := range strings.Lines(b.log.String()) {
		_, rest, _ := strings.Cut(line, "msg=line-")
		text, _, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.Equal(t, last+1, n)
		require.Contains(t, line, "path=e/c/a level=2")
		last = n
	}
}

// stuckLog is a log that blocks until it is closed.
type stuckLog chan struct{}

func (l stuckLog) Write(b []byte) (int, error) { <-l; return len(b), nil }

func TestALogThatBlocksHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	stuck := make(stuckLog)
	defer close(stuck)
	b := &bench{log: &logBook{}, news: make(chan struct{})}
	var err error
	b.Hands, err = Config{Dir: t.TempDir()}.New(slog.New(slog.NewTextHandler(stuck, nil)), b.take)
	require.NoError(t, err)
	for range 2 * maxLog {
		b.Do(core.WriteLog{Text: "to nobody"})
	}
	id := b.spawn(t, core.Spawn{Entity: "talker", Command: sh("echo hello; exit 4")})
	require.Equal(t, 4, b.exited(t, id.PID).Exit.Code)
	require.Empty(t, b.done(t, b.run(core.RunCommand{Command: sh("exit 0"), Timeout: patience})).Err)
	b.Close()
}

func TestClosedHandsSayNothingAndLeaveProgramsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "e", Command: sh("exec sleep 70"), Notify: true})
	b.wait(core.WaitFor{Path: "/no/such", Timeout: time.Hour})
	b.Close()
	b.Close()
	n := len(b.events)
	b.Do(core.Spawn{ID: 100, Entity: "f", Command: sh("exit 0"), As: admin})
	b.Do(core.Await{ID: 101, For: core.WaitFor{Timeout: 1}})
	b.Do(core.WakeAt{At: 1})
	s, alive := readStat(id.PID)
	require.True(t, alive && !s.dead())
	require.NoError(t, unix.Kill(id.PID, unix.SIGKILL))
	eventually(t, "a child is not reaped", func() bool { _, alive := readStat(id.PID); return !alive })
	require.Len(t, b.events, n)
}

func TestATickComesWhenItWasAskedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	b.Do(core.WakeAt{At: monotonic() + time.Hour})
	asked := monotonic() + 5*time.Millisecond
	b.Do(core.WakeAt{At: asked})
	at := await(t, b, "the time", func(e core.Event) (time.Duration, bool) { return e.At, e.Tick != nil })
	require.GreaterOrEqual(t, at, asked)
	b.Do(core.WakeAt{At: monotonic() + time.Hour})
	b.Do(core.WakeAt{At: -1})
	require.Nil(t, b.wake.timer)
}

func TestWhatConcernsOneEntityIsDoneInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	var mu sync.Mutex
	got := map[string][]int{}
	var all sync.WaitGroup
	for i := range 300 {
		name := strconv.Itoa(i % 3)
		all.Add(1)
		b.lanes.do(name, func() {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			got[name] = append(got[name], i)
		})
	}
	all.Wait()
	for name, order := range got {
		require.True(t, slices.IsSorted(order), "%s: %v", name, order)
	}
	eventually(t, "lanes stay", func() bool {
		b.lanes.mu.Lock()
		defer b.lanes.mu.Unlock()
		return len(b.lanes.queues) == 0
	})
}

func FuzzParseStat(f *testing.F) {
	line, err := os.ReadFile("/proc/self/stat")
	require.NoError(f, err)
	f.Add(line)
	f.Add([]byte("1 (a) b) Z 1 1 1"))
	f.Add([]byte(")"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, line []byte) {
		if s, ok := parseStat(line); ok {
			require.NotZero(t, s.state)
		}
	})
}

func TestAStatLineIsReadWhateverTheNameOfTheProgram(t *testing.T) {
	t.Parallel()
	rest := " S 2 3 4 0 -1 0 0 0 0 0 70 30 0 0 20 0 1 0 999 0 55"
	for range 52 - 24 {
		rest += " 0"
	}
	for _, name := range []string{"a", "a b", ") Z 9 9 (", "x\n)"} {
		s, ok := parseStat([]byte("1 (" + name + ")" + rest + "\n"))
		require.True(t, ok)
		require.Equal(t, stat{state: 'S', parent: 2, group: 3, session: 4, ticks: 100, start: 999, rss: 55}, s)
	}
}

// The figure to be compared with is that of a watcher that does nothing but poll one pidfd.
func BenchmarkDeathNoticed(b *testing.B) {
	b.Run("bare pidfd", func(b *testing.B) {
		b.ReportMetric(medianNotice(b, func(pid int, seen func()) func() {
			pidfd := must(unix.PidfdOpen(pid, 0))
			go func() {
				fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
				for n := 0; n == 0; {
					n, _ = unix.Poll(fds, -1)
				}
				seen()
				unix.Close(pidfd)
				_, _ = unix.Wait4(pid, nil, 0, nil)
			}()
			return func() {}
		}), "p50-µs")
	})
	b.Run("hands", func(b *testing.B) {
		w := must(newWatcher())
		defer w.close()
		b.ReportMetric(medianNotice(b, func(pid int, seen func()) func() {
			_ = must(w.watch(must(proc.Identify(pid)), must(unix.PidfdOpen(pid, 0)), true, func(exit) { seen() }))
			return func() {}
		}), "p50-µs")
	})
}

// medianNotice returns the median time in µs from the kill of a process until it is seen.
func medianNotice(b *testing.B, watch func(pid int, seen func()) (end func())) float64 {
	var all []time.Duration
	for b.Loop() {
		p := must(os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{}))
		at := make(chan time.Time, 1)
		end := watch(p.Pid, func() { at <- time.Now() })
		time.Sleep(5 * time.Millisecond) // it sleeps, and so does its watcher
		killed := time.Now()
		_ = unix.Kill(p.Pid, unix.SIGKILL)
		all = append(all, (<-at).Sub(killed))
		end()
		_ = p.Release()
	}
	slices.Sort(all)
	return float64(all[len(all)/2].Nanoseconds()) / 1000
}
