package pairtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a program that the test has started, with all that descends from it: the backups that its members start
// are in the same process group, and the test is the one who reaps them when their parents are dead.
type process struct {
	pid  int // also the process group
	log  *logBook
	done chan struct{} // closed when the group is empty and reaped

	mu    sync.Mutex
	exits map[int]unix.WaitStatus
}

// launch starts the test binary as a program.
func launch(env []string, log *logBook) (*process, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{
		Env: env, Files: []*os.File{null, w, w}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		r.Close()
		return nil, err
	}
	c := &process{pid: p.Pid, log: log, done: make(chan struct{}), exits: map[int]unix.WaitStatus{}}
	_ = p.Release() // the group is waited for, not this process alone
	go c.follow(r)
	return c, nil
}

// follow reads what the group says and reaps it, to the end.
func (c *process) follow(r *os.File) {
	defer close(c.done)
	defer r.Close()
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(c.log, r) })
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-c.pid, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			// ECHILD. Whoever's parent dies is adopted before that parent can be reaped, so nobody is left.
			break
		}
		c.mu.Lock()
		c.exits[pid] = status
		c.mu.Unlock()
	}
	reading.Wait()
}

// exit says how a process of the group ended, if it did and the test reaped it.
func (c *process) exit(pid int) (unix.WaitStatus, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status, ok := c.exits[pid]
	return status, ok
}

// signal reaches everybody in the group. Its number cannot have been given to another group: done is not closed, so
// it has members, or one that is yet to be reaped.
func (c *process) signal(sig unix.Signal) {
	select {
	case <-c.done:
	default:
		_ = unix.Kill(-c.pid, sig)
	}
}

// logBook keeps what the members of a pair have printed.
type logBook struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

// String returns all of it.
func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// count says how often text was printed.
func (l *logBook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.b, []byte(text))
}

const printedLines = 120

// tail returns the end of it, for a failure.
func (l *logBook) tail() string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	if n := len(lines) - printedLines; n > 0 {
		return fmt.Sprintf("(%d lines left out)\n%s", n, strings.Join(lines[n:], "\n"))
	}
	return strings.Join(lines, "\n")
}

var _ io.Writer = (*logBook)(nil)
