package survive

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
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

// module is where the examples are.
const module = "github.com/1fb4ed1c/tandem"

// build compiles an example into the run's directory. leftOut says why it cannot be expected to work here.
func build(ctx context.Context, w *world.World, example string) (bin, leftOut string, err error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", "the go command is not installed, and the example must be built", nil
	}
	pkg := module + "/examples/" + example
	e, err := w.Execute(ctx, "go", "list", pkg)
	if err != nil {
		return "", "", err
	}
	if e.Status != 0 {
		return "", fmt.Sprintf("the source of %s is not here: run this in a copy of the module", pkg), nil
	}
	bin = filepath.Join(w.Base, example)
	e, err = w.Execute(ctx, "go", "build", "-o", bin, pkg)
	if err == nil && e.Status != 0 {
		err = fmt.Errorf("cannot build %s: %s", pkg, bytes.TrimSpace(e.Said))
	}
	return bin, "", err
}

// server is an example that runs, as a pair or alone.
type server struct {
	runDir, name, addr string
}

// serve starts an example on a port of the kernel's choice and waits until it is complete.
func serve(ctx context.Context, w *world.World, bin, runDir string, complete func(*registry.Page) bool, args ...string) (*server, error) {
	name := filepath.Base(bin)
	argv := append([]string{name, "--addr", "127.0.0.1:0"}, args...)
	if _, err := proc.Spawn(proc.Spec{Path: bin, Args: argv, Env: world.Environment(runDir), Stdout: w.Stderr, Stderr: w.Stderr}); err != nil {
		return nil, err
	}
	p, err := world.AwaitPage(ctx, runDir, name, time.Millisecond, world.StartWithin, "ready", func(p *registry.Page) bool {
		return len(p.Listen) > 0 && complete(p)
	})
	if err != nil {
		return nil, err
	}
	return &server{runDir: runDir, name: name, addr: p.Listen[0]}, nil
}

// stop ends it as an operator would.
func (s *server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), world.StartWithin)
	defer cancel()
	return pair.Stop(ctx, s.runDir, s.name)
}
