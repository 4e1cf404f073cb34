package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// Length is how long it is.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Execution is a program that has run.
type Execution struct {
	Ran          Span
	Stdout, Said []byte // Said: on stderr
	Status       unix.WaitStatus
}

// Trouble is what went wrong as far as the program's exit and its stderr tell, a line each.
func (e *Execution) Trouble() (lines []string) {
	for line := range strings.Lines(string(e.Said)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if s := e.Status; s.Signaled() {
		lines = append(lines, "killed by "+s.Signal().String())
	} else if s.ExitStatus() != 0 {
		lines = append(lines, fmt.Sprint("exit status ", s.ExitStatus()))
	}
	return lines
}

// Execute runs a program to its end. If ctx ends first it is killed, and the error is that of ctx. How it ends otherwise is no
// error.
func (w *World) Execute(ctx context.Context, argv ...string) (e Execution, err error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return e, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return e, err
	}
	defer null.Close()
	var out [2]*os.File
	for i, name := range []string{"stdout", "stderr"} {
		if out[i], err = os.CreateTemp(w.Base, filepath.Base(path)+"-"+name+"-"); err != nil {
			return e, err
		}
		defer os.Remove(out[i].Name())
		defer out[i].Close()
	}
	e.Ran.From = time.Now()
	p, exit, err := w.Start(path, argv, []*os.File{null, out[0], out[1]})
	if err != nil {
		return e, fmt.Errorf("cannot run %s: %w", path, err)
	}
	defer context.AfterFunc(ctx, func() { _ = p.Kill() })()
	e.Status = <-exit
	e.Ran.To = time.Now()
	if e.Stdout, err = os.ReadFile(out[0].Name()); err != nil {
		return e, err
	}
	if e.Said, err = os.ReadFile(out[1].Name()); err != nil {
		return e, err
	}
	return e, ctx.Err()
}

// Start starts a child whose exit is told by the one who reaps them all.
func (w *World) Start(path string, argv []string, files []*os.File) (*os.Process, <-chan unix.WaitStatus, error) {
	w.mu.Lock() // nobody is reaped before its channel is known
	defer w.mu.Unlock()
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Files: files, Env: Environment(w.RunDir())})
	if err != nil {
		return nil, nil, err
	}
	exit := make(chan unix.WaitStatus, 1)
	w.exits[p.Pid] = exit
	return p, exit, nil
}
