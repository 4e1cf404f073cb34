package ham_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/daemon"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// within bounds every wait.
const within = 20 * time.Second

const (
	envKeep  = "HAM_TEST_KEEP"  // the run directory: this process is HAM's keeper
	envSelf  = "HAM_TEST_SELF"  // the run directory: this process attaches itself, and stays
	envVisit = "HAM_TEST_VISIT" // the door: this process is another user's
)

func TestMain(m *testing.M) {
	daemon.Main()
	if dir := os.Getenv(envKeep); dir != "" {
		exit, err := daemon.Keep(context.Background(), daemon.Config{RunDir: dir, Door: filepath.Join(filepath.Dir(dir), "door")})
		fmt.Fprintln(os.Stderr, "the keeper ends:", err)
		os.Exit(exit)
	}
	if dir := os.Getenv(envSelf); dir != "" {
		beSelf(dir)
	}
	if door := os.Getenv(envVisit); door != "" {
		visit(door)
	}
	// Whatever HAM leaves behind becomes a child of this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := nobodyLeft(); err != nil {
		fmt.Fprintln(os.Stderr, "broken promise: HAM that was stopped leaves no process behind:", err)
		code = 1
	}
	if err := traces(); err != nil {
		fmt.Fprintln(os.Stderr, "broken promise: clients that were closed leave nothing behind:", err)
		code = 1
	}
	os.Exit(code)
}

// nobodyLeft waits for the last child to end, and kills those that do not.
func nobodyLeft() (err error) {
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		pid, gone := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case gone == unix.ECHILD:
			return err
		case pid == 0 && time.Now().After(end):
			for _, child := range children() {
				line, _ := os.ReadFile("/proc/" + child + "/cmdline")
				err = errors.Join(err, fmt.Errorf("%s %q had to be killed", child, line))
				if pid, e := strconv.Atoi(child); e == nil {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
	}
}

// children returns the pids of our children, each of which belongs to one of our threads.
func children() (pids []string) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// traces looks for goroutines and heartbeat words that have no owner any more.
func traces() (err error) {
	for range 200 {
		runtime.GC()
		if err = trace(); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func trace() error {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	if i := bytes.Index(b, []byte("tandem/ham.(*")); i >= 0 {
		return fmt.Errorf("goroutines:\n%s", b)
	}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, _ := os.Readlink(l); strings.HasPrefix(to, "/memfd:tandem-beat") || strings.Contains(to, "pidfd") {
			return fmt.Errorf("descriptor of %s", to)
		}
	}
	return nil
}

// beSelf is a program that attaches itself, says so, and does nothing more.
func beSelf(dir string) {
	c, err := ham.Dial(context.Background(), ham.RunDir(dir))
	if err == nil {
		_, err = c.AttachSelf(context.Background(), ham.Attach{Entity: "worker"})
	}
	fmt.Println("attached:", err)
	time.Sleep(2 * within)
	os.Exit(1)
}

// host is a HAM with its keeper, in a run directory of its own.
type host struct {
	testing.TB
	dir  string // run directory
	door string // directory for other users
	end  func() // ends HAM and its keeper
}

// begin starts HAM; at the end of the test it is stopped, with all that it runs.
func begin(t testing.TB) *host {
	t.Helper()
	top := t.TempDir()
	for _, dir := range []string{top, filepath.Dir(top)} { // the door is for other users
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	h := &host{TB: t, dir: filepath.Join(top, "run"), door: filepath.Join(top, "door")}
	h.launch()
	return h
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

func (h *host) launch() {
	h.Helper()
	log := &book{}
	cmd := again(envKeep + "=" + h.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second
	require.NoError(h, cmd.Start())
	h.end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		late := time.AfterFunc(2*within, func() {
			h.Errorf("broken promise: HAM stops when its keeper is asked to")
			_ = cmd.Process.Kill()
		})
		_ = cmd.Wait()
		late.Stop()
		if h.Failed() {
			h.Logf("the log of HAM:\n%s", log)
		}
	})
	h.Cleanup(h.end)
}

// again is this program once more.
func again(env string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// dial connects a client as soon as there is a HAM. It is closed at the end of the test.
func (h *host) dial() *ham.Client {
	h.Helper()
	var c *ham.Client
	h.until("HAM can be reached", func() (err error) {
		c, err = ham.Dial(h.Context(), ham.RunDir(h.dir))
		return err
	})
	h.Cleanup(func() { require.NoError(h, c.Close()) })
	return c
}

// until waits for something to be so.
func (h *host) until(what string, ok func() error) {
	h.Helper()
	for end := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			require.Failf(h, "broken promise", "%s: not within %v: %v", what, within, err)
		}
	}
}

// is waits for the record of an entity to be as wanted.
func (h *host) is(c *ham.Client, name, what string, ok func(*ham.Record) bool) (r *ham.Record) {
	h.Helper()
	h.until(name+" "+what, func() (err error) {
		if r, _, err = c.Entity(h.Context(), name); err == nil && !ok(r) {
			err = fmt.Errorf("it is %+v", r)
		}
		return err
	})
	return r
}

// protected waits until HAM has a guardian.
func (h *host) protected(c *ham.Client) (pid, guardian int) {
	h.Helper()
	h.until("HAM has a guardian", func() error {
		r, err := c.Root(h.Context())
		if pid, guardian = r.PID, r.GuardianPID; err == nil && (guardian == 0 || !alive(pid) || !alive(guardian)) {
			err = fmt.Errorf("it has not: %d %d", pid, guardian)
		}
		return err
	})
	return pid, guardian
}

func alive(pid int) bool {
	id, err := proc.Identify(pid)
	return err == nil && id.Alive()
}

// kill kills processes, all of them before it waits for the first to end.
func (h *host) kill(pids ...int) {
	h.Helper()
	for _, pid := range pids {
		require.NoError(h, unix.Kill(pid, unix.SIGKILL))
	}
	for _, pid := range pids {
		h.until("a killed process ends", func() error {
			if alive(pid) {
				return fmt.Errorf("%d runs", pid)
			}
			return nil
		})
	}
}

// program starts a process that does nothing, and is ended at the end of the test.
func program(t testing.TB) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start(), "sleep(1) is needed: package coreutils")
	ended := make(chan struct{})
	go func() { // so it is no zombie, whoever kills it
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return cmd
}
