package proc

import (
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Spec says how to start a process. The zero value runs this program once more,
// with its environment and directory, no arguments, and null devices for its
// standard streams.
type Spec struct {
	Path                  string     // "": the file this process runs, even if it has been replaced since
	Args                  []string   // the first one is the name of the program; nil: just that name
	Env                   []string   // nil: that of this process
	Dir                   string     // "": that of this process
	Stdin, Stdout, Stderr *os.File   // nil: the null device
	Files                 []*os.File // descriptors 3, 4, … of the child
}

// Child is a process started by this one. It outlives this one.
type Child struct {
	id    ID
	done  chan struct{}
	state *os.ProcessState
}

// Spawn starts a process that inherits exactly the files of the Spec: every other
// descriptor of this process becomes close-on-exec, for one that leaks into a
// child keeps the sockets of a dead process open.
func Spawn(s Spec) (*Child, error) {
	p, err := s.start()
	if err != nil {
		return nil, fmt.Errorf("cannot spawn: %w", err)
	}
	// Not reaped before wait runs, so it still has its pid.
	id, err := Identify(p.Pid)
	if err != nil {
		_ = p.Kill()
		_, _ = p.Wait()
		return nil, fmt.Errorf("cannot spawn: %w", err)
	}
	c := &Child{id: id, done: make(chan struct{})}
	go c.wait(p)
	return c, nil
}

// ID returns the name of the child.
func (c *Child) ID() ID { return c.id }

// Done is closed when the child has ended and been reaped.
func (c *Child) Done() <-chan struct{} { return c.done }

// State says how the child ended. It is nil before Done is closed, and stays nil
// if other code of this process has reaped the child.
func (c *Child) State() *os.ProcessState {
	select {
	case <-c.done:
		return c.state
	default:
		return nil
	}
}

// wait reaps the child; nothing else here does.
func (c *Child) wait(p *os.Process) {
	defer close(c.done)
	c.state, _ = p.Wait() // the error is that somebody else has: there is no state then
}

func (s *Spec) start() (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{null, null, null}
	for i, f := range []*os.File{s.Stdin, s.Stdout, s.Stderr} {
		if f != nil {
			files[i] = f
		}
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil { // before Linux 5.11
		if err := closeOnExecEach(); err != nil {
			return nil, fmt.Errorf("cannot make all descriptors close-on-exec: %w", err)
		}
	}
	path, args := s.Path, s.Args
	if path == "" {
		path = "/proc/self/exe"
	}
	if len(args) == 0 {
		args = []string{path}
	}
	return os.StartProcess(path, args, &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: append(files, s.Files...)})
}

// NoCore keeps this process, and those it starts, from dumping core: a dump runs
// before any sign of death can be seen, for 190 ms at 256 MiB.
func NoCore() error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &lim); err != nil {
		return fmt.Errorf("cannot read the limit of core dumps: %w", err)
	}
	// One byte, not none: 0 does not stop a dump into a pipe (core(5)), while 1 is
	// too little for a file and means "no dump" for a pipe (fs/coredump.c).
	lim.Cur = min(1, lim.Max)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &lim); err != nil {
		return fmt.Errorf("cannot limit core dumps: %w", err)
	}
	return nil
}

// closeOnExecEach is close_range with CLOSE_RANGE_CLOEXEC, one descriptor at a time.
func closeOnExecEach() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= 3 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
