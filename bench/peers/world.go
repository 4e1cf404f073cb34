package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// world is everything that a run leaves outside this process: a directory, and processes. Each process that is started is in a
// group of its own and dies with this one; those that they start fall to this one when they are orphans
// (PR_SET_CHILD_SUBREAPER), and are reaped at the end.
type world struct {
	dir    string
	rng    *rand.Rand
	starts chan func() // run by the thread whose children all processes are
	small  func() (string, error)

	mu    sync.Mutex
	procs []*process
	named map[string]int // how often a name has been used
	ports *ports
}

// newWorld makes one. small returns the program of that name.
func newWorld(seed uint64, small func() (string, error)) (*world, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the subreaper: %w", err)
	}
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, rng: rand.New(rand.NewPCG(seed, 0)), starts: make(chan func()), named: map[string]int{}, ports: newPorts(), small: small}
	go w.start()
	return w, nil
}

// start is the one thread that starts processes: PDEATHSIG is sent when the thread that started one ends.
func (w *world) start() {
	runtime.LockOSThread()
	for f := range w.starts {
		f()
	}
}

// close ends everything. To an error it adds what the processes had to say.
func (w *world) close(err error) error {
	w.mu.Lock()
	procs := w.procs
	w.mu.Unlock()
	for _, p := range procs {
		p.kill()
	}
	close(w.starts)
	for { // what is left are orphans of theirs
		for _, pid := range children() {
			_ = unix.Kill(pid, unix.SIGKILL) // a child that is not reaped: nobody else has its pid
		}
		pid, werr := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(werr, unix.ECHILD) {
			break
		}
		if pid == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, complaints(procs))
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// complaints returns the end of what processes wrote.
func complaints(procs []*process) string {
	const most = 1500
	var said strings.Builder
	for _, p := range procs {
		if b, _ := os.ReadFile(p.output); len(b) > 0 {
			fmt.Fprintf(&said, "\n%s said:\n%s", filepath.Base(p.output), b[max(0, len(b)-most):])
		}
	}
	return said.String()
}

// children lists the pids of this process's children.
func children() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// command is what to start.
type command struct {
	args  []string
	env   []string // besides this process's
	files []*os.File
}

// process is one that was started. Its end is noticed by whoever waits for done.
type process struct {
	pid    int
	output string // file with what it writes
	done   chan struct{}
}

// run starts a process. Its name is that of its output.
func (w *world) run(name string, c command) (*process, error) {
	w.mu.Lock()
	w.named[name]++
	output := filepath.Join(w.dir, fmt.Sprintf("%s.%d.log", name, w.named[name]))
	w.mu.Unlock()
	f, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = w.dir, append(environment(), c.env...), c.files
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	started := make(chan error)
	w.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	p := &process{pid: cmd.Process.Pid, output: output, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	w.mu.Lock()
	w.procs = append(w.procs, p)
	w.mu.Unlock()
	return p, nil
}

// environment is this process's, without what would make a pair of it.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TANDEM_") {
			env = append(env, v)
		}
	}
	return env
}

// self starts this program under a hidden verb.
func (w *world) self(name string, args ...string) (*process, error) {
	return w.run(name, command{args: append([]string{"/proc/self/exe", processVerb}, args...)})
}

// kill ends a process and its group. That of one that has ended may be somebody else's by now.
func (p *process) kill() {
	if p.ended() {
		return
	}
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// buildSmall compiles the program small.
func buildSmall(dir string) (string, error) {
	bin := filepath.Join(dir, "small")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/1fb4ed1c/tandem/bench/peers/small").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build the program small: start this one in bench/peers, with go in the path: %w\n%s", err, out)
	}
	return bin, nil
}

const patience = 30 * time.Second // with anything that has to come about

// until waits until a condition holds.
func until(ctx context.Context, what string, holds func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error // before ctx ended, after which everything fails
	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%w)", what, last, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
