package hands

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// roleEnv makes the test binary one of the programs that the tests run.
const roleEnv = "HANDS_TEST_ROLE"

func TestMain(m *testing.M) {
	Exec()
	if role := os.Getenv(roleEnv); role != "" {
		play(role)
		os.Exit(0)
	}
	// What the runtime opens for good is no leak.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	// By this the programs of the tests are known, and the children that they leave behind.
	if err := os.Setenv("HANDS_TEST_OF", strconv.Itoa(os.Getpid())); err != nil {
		panic(err)
	}
	before := census()
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != ""; fuzzing || code != 0 {
		os.Exit(code) // with processes and pipes of its own, or with a better reason
	}
	if leak := leaked(before); leak != "" {
		fmt.Fprintln(os.Stderr, "broken promise: the tests left behind:", leak)
		code = 1
	}
	os.Exit(code)
}

// leaked says what there is more of than before, once things have settled.
func leaked(before map[string]int) (leak string) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		leak = ""
		for what, n := range census() {
			if n > before[what] {
				leak += fmt.Sprintf(" %s (%d, were %d)", what, n, before[what])
			}
		}
		if leak == "" {
			return ""
		}
	}
	return leak
}

// census counts descriptors by what they are, goroutines and children.
func census() map[string]int {
	c := map[string]int{"goroutines": runtime.NumGoroutine()}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			c[strings.TrimRight(target, "0123456789[]:")]++
		}
	}
	children, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children")
	c["children"] = len(strings.Fields(string(children)))
	mark := [][]byte{[]byte("\x00HANDS_TEST_OF=" + strconv.Itoa(os.Getpid()) + "\x00")}
	all, _ := os.ReadDir("/proc")
	for _, e := range all {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && carries(pid, mark) {
			c["programs"]++
		}
	}
	return c
}

// bench is where hands are tried: everything that they tell is kept, in order.
type bench struct {
	*Hands
	log *logBook

	mu     sync.Mutex
	events []core.Event
	news   chan struct{} // closed at the next event
	next   atomic.Uint64
}

func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	b := &bench{log: &logBook{}, news: make(chan struct{})}
	h, err := c.New(slog.New(slog.NewTextHandler(b.log, nil)), b.take)
	require.NoError(t, err)
	b.Hands = h
	t.Cleanup(h.Close)
	return b
}

func (b *bench) take(e core.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	close(b.news)
	b.news = make(chan struct{})
}

// patience is how long a test waits for what must come. Nothing is said about how long it should take.
const patience = 20 * time.Second

// await returns the first event, from the beginning, that f takes.
func await[T any](t testing.TB, b *bench, what string, f func(core.Event) (T, bool)) T {
	t.Helper()
	deadline := time.After(patience)
	for seen := 0; ; {
		b.mu.Lock()
		events, news := b.events, b.news
		b.mu.Unlock()
		for ; seen < len(events); seen++ {
			if v, ok := f(events[seen]); ok {
				return v
			}
		}
		select {
		case <-news:
		case <-deadline:
			require.FailNow(t, "broken promise: nothing was told of "+what, "log:\n%s", b.log.String())
		}
	}
}

func (b *bench) id() uint64 { return b.next.Add(1) }

// done waits for the outcome of an effect.
func (b *bench) done(t testing.TB, id uint64) core.Done {
	t.Helper()
	return await(t, b, fmt.Sprintf("the outcome of effect %d", id), func(e core.Event) (core.Done, bool) {
		if e.Done != nil && e.Done.ID == id {
			return *e.Done, true
		}
		return core.Done{}, false
	})
}

func (b *bench) spawned(t testing.TB, id uint64) core.Spawned {
	t.Helper()
	return await(t, b, "the start of a process", func(e core.Event) (core.Spawned, bool) {
		if e.Spawned != nil && e.Spawned.ID == id {
			return *e.Spawned, true
		}
		return core.Spawned{}, false
	})
}

func (b *bench) exited(t testing.TB, pid int) core.Exited {
	t.Helper()
	return await(t, b, fmt.Sprintf("the end of process %d", pid), func(e core.Event) (core.Exited, bool) {
		if e.Exited != nil && e.Exited.PID == pid {
			return *e.Exited, true
		}
		return core.Exited{}, false
	})
}

// notified waits for a message of an entity that f takes.
func (b *bench) notified(t testing.TB, entity, what string, f func(core.Notified) bool) core.Notified {
	t.Helper()
	return await(t, b, what, func(e core.Event) (core.Notified, bool) {
		if e.Notified != nil && e.Notified.Entity == entity && f(*e.Notified) {
			return *e.Notified, true
		}
		return core.Notified{}, false
	})
}

// spawn starts a program that must start, and ends it with the test.
func (b *bench) spawn(t testing.TB, s core.Spawn) proc.ID {
	t.Helper()
	s.ID = b.id()
	s.As.Admin = true
	b.Do(s)
	got := b.spawned(t, s.ID)
	require.Empty(t, got.Err)
	id := proc.ID{PID: got.PID, Start: got.Start}
	endWithTest(t, id)
	return id
}

// endWithTest kills a process and its group at the end of the test.
func endWithTest(t testing.TB, id proc.ID) {
	t.Cleanup(func() {
		pidfd, _, err := openPidfd(id)
		if err != nil {
			return
		}
		defer unix.Close(pidfd)
		_ = sendSignal(pidfd, id.PID, unix.SIGKILL, true)
		waitGone(t, pidfd)
	})
}

// waitGone waits until a process is dead. Somebody reaps it then.
func waitGone(t testing.TB, pidfd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if n, _ := unix.Poll(fds, 100); n == 1 {
			return
		}
	}
	require.FailNow(t, "a process does not die")
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "broken promise: "+what)
		}
	}
}

// performed waits until what has been asked for about an entity has been done.
func (b *bench) performed(entity string) {
	done := make(chan struct{})
	b.lanes.do(entity, func() { close(done) })
	<-done
}

// watches counts the processes whose ends will be told.
func (b *bench) watches() (n int) {
	b.watcher.mu.Lock()
	defer b.watcher.mu.Unlock()
	for w := range b.watcher.all {
		w.mu.Lock()
		if !w.told {
			n++
		}
		w.mu.Unlock()
	}
	return n
}

// sh is a command of the shell.
func sh(script string) core.Command { return core.Command{Argv: []string{"sh", "-c", script}} }

// role is the test binary in a role.
func role(t testing.TB, name string, env ...string) core.Command {
	self, err := os.Executable()
	require.NoError(t, err)
	return core.Command{Argv: []string{self}, Env: append(env, roleEnv+"="+name, "GOCOVERDIR="+t.TempDir())}
}

// logBook is a log that is kept.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns what a program has said to the log.
func (l *logBook) lines(of string) (lines []string) {
	for line := range strings.SplitSeq(l.String(), "\n") {
		if _, rest, ok := strings.Cut(line, "msg=output of="+of+" line="); ok {
			if s, err := strconv.Unquote(rest); err == nil {
				rest = s
			}
			lines = append(lines, rest)
		}
	}
	return lines
}

// openDir is a directory in which everybody may do everything.
func openDir(t testing.TB) string {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}

func skipUnlessRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become others")
	}
}
