package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/config"
	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/daemon"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/receive"
)

// patience is how long a test waits for what is to happen.
const patience = 20 * time.Second

const (
	envKeep = "DAEMON_TEST_KEEP" // the run directory: this process is a keeper
	envFile = "DAEMON_TEST_FILE" // its configuration
	envOnce = "DAEMON_TEST_ONCE"
	envRole = "DAEMON_TEST_ROLE" // this process is a program that is watched: see roles
)

// long has whole matrices of kills run instead of samples: go test ./ham/daemon -long -timeout 20m.
var long = flag.Bool("long", false, "kill HAM everywhere, not here and there")

func TestMain(m *testing.M) {
	if doomed := os.Getenv(envDoom); doomed != "" && len(os.Args) == 2 && os.Args[0] == daemon.HalfName {
		os.Exit(doomedHalf(doomed))
	}
	daemon.Main()
	if role := os.Getenv(envRole); role != "" {
		os.Exit(play(role))
	}
	if root := os.Getenv(envKeep); root != "" {
		os.Exit(keep(root))
	}
	os.Exit(m.Run())
}

func keep(root string) int {
	if os.Getpid() == 1 { // in a pid namespace, which wants a /proc of its own
		if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, "")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	c := daemon.Config{RunDir: root, Once: os.Getenv(envOnce), Door: os.Getenv("DAEMON_TEST_DOOR")}
	file := os.Getenv(envFile)
	var err error
	if c.Entities, err = config.Load(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	c.Reload = func(context.Context) ([]core.EntitySpec, error) { return config.Load(file) }
	ctx, stop := context.WithCancel(context.Background())
	go func() { // until the test is over, however it ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	exit, err := daemon.Keep(ctx, c)
	if err != nil {
		slog.Error("the keeper ends", "cause", err)
	}
	return exit
}

// host is a HAM with its keeper, in a run directory of its own.
type host struct {
	*testing.T
	root string
	file string
	log  *book
	sys  syscall.SysProcAttr // of the keeper
	cmd  *exec.Cmd
	end  chan struct{} // closed when the keeper has ended
}

// book collects what is printed.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *book) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *book) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// begin starts a HAM that watches what the TOML text says. $DIR in it is the test's own directory, $SELF this program.
func begin(t *testing.T, toml string, env ...string) *host {
	t.Helper()
	return prepare(t, toml).begin(env...)
}

// prepare is begin without the beginning.
func prepare(t *testing.T, toml string) *host {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	h := &host{T: t, root: filepath.Join(dir, "run"), file: filepath.Join(dir, "ham.toml"), log: &book{}}
	h.write(toml)
	return h
}

func (h *host) begin(env ...string) *host {
	h.Helper()
	h.launch(append(env, envDir+"="+h.dir(), doomed(h.dir()))...)
	h.Cleanup(h.finish)
	return h
}

func (h *host) dir() string { return filepath.Dir(h.file) }

func (h *host) write(toml string) {
	h.Helper()
	self, err := os.Executable()
	require.NoError(h, err)
	toml = strings.NewReplacer("$DIR", h.dir(), "$SELF", self).Replace(toml)
	require.NoError(h, os.WriteFile(h.file, []byte(toml), 0o600))
}

// launch starts the keeper.
func (h *host) launch(env ...string) {
	h.Helper()
	self, err := os.Executable()
	require.NoError(h, err)
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), envKeep+"="+h.root, envFile+"="+h.file, "GORACE=atexit_sleep_ms=0"), env...)
	cmd.Stdout, cmd.Stderr = h.log, h.log
	stdin, err := cmd.StdinPipe()
	require.NoError(h, err)
	sys := h.sys
	sys.Setpgid = true
	cmd.SysProcAttr = &sys
	cmd.WaitDelay = time.Second
	require.NoError(h, cmd.Start())
	end := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		_ = stdin.Close()
		close(end)
	}()
	h.cmd, h.end = cmd, end
}

// finish stops HAM with everything that it runs, and checks that nothing is left.
func (h *host) finish() {
	_ = h.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-h.end:
	case <-time.After(2 * patience):
		h.Errorf("broken promise: HAM stops when its keeper is asked to\n%s", h.log)
		_ = h.cmd.Process.Kill()
	}
	left := h.left()
	for end := time.Now().Add(leftWithin); len(left) > 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		left = h.left() // a backup that was being started finds out that nobody wants it any more
	}
	for _, id := range left {
		h.Errorf("broken promise: HAM leaves no process behind: %d is there\n%s", id, h.log)
		_ = unix.Kill(id, unix.SIGKILL)
	}
	if strings.Contains(h.log.String(), "DATA RACE") {
		h.Error("broken promise: no data race in HAM")
	}
	if h.Failed() {
		h.Logf("the log of HAM:\n%s", h.log)
	}
}

// leftWithin is how long a process may take to find out that it is not needed.
const leftWithin = 5 * time.Second

// left returns the processes that have the run directory in their environment or arguments, or hold a file of the test's open.
func (h *host) left() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(d + "/environ")
		args, _ := os.ReadFile(d + "/cmdline")
		if bytes.Contains(env, []byte(h.root)) || bytes.Contains(args, []byte(h.root)) || holdsOpen(d, h.dir()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// holdsOpen reports whether a process has a file in a directory open; some programs have neither arguments nor an environment to show.
func holdsOpen(proc, dir string) bool {
	fds, _ := filepath.Glob(proc + "/fd/*")
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); strings.HasPrefix(target, dir) {
			return true
		}
	}
	return false
}

// until waits for something to be so.
func (h *host) until(what string, ok func() bool) {
	h.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			require.Failf(h, "broken promise", "%s: not within %v\nhistory:\n%s", what, patience, strings.Join(h.story(), "\n"))
		}
	}
}

// page returns what the registry tells of HAM.
func (h *host) page() registry.Page {
	p, _ := registry.Read(h.root, talk.Pair)
	return p
}

// protected waits until HAM has a guardian.
func (h *host) protected() (ham, guardian int) {
	h.Helper()
	h.until("HAM has a guardian", func() bool {
		p := h.page()
		ok := p.Primary != nil && p.Backup != nil && p.Backup.Synchronised && alive(p.Primary) && alive(p.Backup)
		if ok {
			ham, guardian = p.Primary.PID, p.Backup.PID
		}
		return ok
	})
	return ham, guardian
}

func alive(m *registry.Member) bool { return proc.ID{PID: m.PID, Start: m.Start}.Alive() }

// read asks the reading socket until it answers.
func (h *host) read(q talk.Query) (lines []talk.Line) {
	h.Helper()
	h.untilAnswered(func(ctx context.Context) error {
		lines = nil
		return talk.Read(ctx, filepath.Join(h.root, talk.Pair, talk.ReadSocket), q, func(l talk.Line) bool {
			lines = append(lines, l)
			return true
		})
	})
	return lines
}

func (h *host) untilAnswered(ask func(ctx context.Context) error) {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		require.NoError(h, ctx.Err(), "broken promise: HAM answers: %v\n%s", err, h.log)
		time.Sleep(5 * time.Millisecond)
	}
}

// entity returns the record of an entity, nil if there is none.
func (h *host) entity(name string) *core.Entity {
	h.Helper()
	for _, l := range h.read(talk.Query{Op: talk.OpEntities, Names: []string{name}}) {
		return l.Entity
	}
	return nil
}

// running waits until an entity runs, and returns its record.
func (h *host) running(name string) (e *core.Entity) {
	h.Helper()
	h.until(name+" runs", func() bool {
		e = h.entity(name)
		return e != nil && e.Process.Phase == core.Running && e.Process.Ready
	})
	return e
}

// restarted waits until an entity runs that has been restarted so many times.
func (h *host) restarted(name string, times int) (e *core.Entity) {
	h.Helper()
	h.until(fmt.Sprintf("%s has been restarted %d times", name, times), func() bool {
		e = h.entity(name)
		return e != nil && e.Process.Phase == core.Running && e.Restarts >= uint64(times)
	})
	require.EqualValues(h, times, e.Restarts, "broken promise: one restart for one death")
	return e
}

// story returns the history in words.
func (h *host) story() (all []string) {
	for _, l := range h.read(talk.Query{Op: talk.OpHistory}) {
		if l.Happening != nil {
			all = append(all, inWords(l.Happening))
		}
	}
	return all
}

func inWords(x *core.Happening) string {
	text := core.Path{Entity: x.Entity, Condition: x.Condition, Action: x.Action}.String() + " " + string(x.What)
	if x.Text != "" {
		text += ": " + x.Text
	}
	return text
}

// told counts the lines of the story that begin with text.
func (h *host) told(text string) (n int) {
	for _, line := range h.story() {
		if strings.HasPrefix(line, text) {
			n++
		}
	}
	return n
}

// dial opens HAM as a client does.
func (h *host) dial() *receive.Conn {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := receive.Dial(ctx, talk.Pair, receive.RunDir(h.root))
	require.NoError(h, err)
	h.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a request that must be granted.
func (h *host) ask(c *receive.Conn, r core.Request) talk.Answer {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := talk.Ask(ctx, c, r)
	require.NoError(h, err)
	return a
}

// kill sends SIGKILL to a process and waits until it is gone.
func (h *host) kill(pid int) {
	h.Helper()
	id, err := proc.Identify(pid)
	require.NoError(h, err)
	require.NoError(h, unix.Kill(pid, unix.SIGKILL))
	h.until(fmt.Sprintf("%d is dead", pid), func() bool { return !id.Alive() })
}

// lines returns the whole lines of a file in the test's directory.
func (h *host) lines(name string) []string {
	b, err := os.ReadFile(filepath.Join(h.dir(), name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(h, err)
	lines := strings.Split(string(b), "\n")
	return lines[:len(lines)-1]
}
