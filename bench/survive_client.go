package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// Programs that are not ours: clients as they are installed, and the examples of this module.

// packages say where the clients come from.
var packages = map[string]string{"redis-benchmark": "redis-tools", "wrk": "wrk", "curl": "curl"}

// missing says what is to be done about a client that is not installed; "": it is.
func missing(client string) string {
	if _, err := exec.LookPath(client); err != nil {
		return fmt.Sprintf("%s is not installed: apt-get install %s", client, packages[client])
	}
	return ""
}

// execution is a program that has run.
type execution struct {
	ran          span
	stdout, said []byte // said: on stderr
	status       unix.WaitStatus
}

// trouble is what went wrong as far as the program's exit and its stderr tell, a line each.
func (e *execution) trouble() (lines []string) {
	for line := range strings.Lines(string(e.said)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if s := e.status; s.Signaled() {
		lines = append(lines, "killed by "+s.Signal().String())
	} else if s.ExitStatus() != 0 {
		lines = append(lines, fmt.Sprint("exit status ", s.ExitStatus()))
	}
	return lines
}

// execute runs a program to its end. If ctx ends first it is killed, and the error is that of ctx. How it ends otherwise is no
// error.
func (w *world) execute(ctx context.Context, argv ...string) (e execution, err error) {
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
		if out[i], err = os.CreateTemp(w.base, filepath.Base(path)+"-"+name+"-"); err != nil {
			return e, err
		}
		defer os.Remove(out[i].Name())
		defer out[i].Close()
	}
	e.ran.from = time.Now()
	p, exit, err := w.start(path, argv, []*os.File{null, out[0], out[1]})
	if err != nil {
		return e, fmt.Errorf("cannot run %s: %w", path, err)
	}
	defer context.AfterFunc(ctx, func() { _ = p.Kill() })()
	e.status = <-exit
	e.ran.to = time.Now()
	if e.stdout, err = os.ReadFile(out[0].Name()); err != nil {
		return e, err
	}
	if e.said, err = os.ReadFile(out[1].Name()); err != nil {
		return e, err
	}
	return e, ctx.Err()
}

// start starts a child whose exit is told by the one who reaps them all.
func (w *world) start(path string, argv []string, files []*os.File) (*os.Process, <-chan unix.WaitStatus, error) {
	w.mu.Lock() // nobody is reaped before its channel is known
	defer w.mu.Unlock()
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Files: files, Env: environment(w.runDir())})
	if err != nil {
		return nil, nil, err
	}
	exit := make(chan unix.WaitStatus, 1)
	w.exits[p.Pid] = exit
	return p, exit, nil
}

// module is where the examples are.
const module = "github.com/1fb4ed1c/tandem"

// build compiles an example into the run's directory. leftOut says why it cannot be expected to work here.
func (w *world) build(ctx context.Context, example string) (bin, leftOut string, err error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", "the go command is not installed, and the example must be built", nil
	}
	pkg := module + "/examples/" + example
	e, err := w.execute(ctx, "go", "list", pkg)
	if err != nil {
		return "", "", err
	}
	if e.status != 0 {
		return "", fmt.Sprintf("the source of %s is not here: run this in a copy of the module", pkg), nil
	}
	bin = filepath.Join(w.base, example)
	e, err = w.execute(ctx, "go", "build", "-o", bin, pkg)
	if err == nil && e.status != 0 {
		err = fmt.Errorf("cannot build %s: %s", pkg, bytes.TrimSpace(e.said))
	}
	return bin, "", err
}

// server is an example that runs, as a pair or alone.
type server struct {
	runDir, name, addr string
}

// serve starts an example on a port of the kernel's choice and waits until it is complete.
func (w *world) serve(ctx context.Context, bin, runDir string, complete func(*registry.Page) bool, args ...string) (*server, error) {
	name := filepath.Base(bin)
	argv := append([]string{name, "--addr", "127.0.0.1:0"}, args...)
	if _, err := proc.Spawn(proc.Spec{Path: bin, Args: argv, Env: environment(runDir), Stdout: w.errs, Stderr: w.errs}); err != nil {
		return nil, err
	}
	p, err := awaitPage(ctx, runDir, name, time.Millisecond, startWithin, "ready", func(p *registry.Page) bool {
		return len(p.Listen) > 0 && complete(p)
	})
	if err != nil {
		return nil, err
	}
	return &server{runDir: runDir, name: name, addr: p.Listen[0]}, nil
}

// stop ends it as an operator would.
func (s *server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
	defer cancel()
	return pair.Stop(ctx, s.runDir, s.name)
}
