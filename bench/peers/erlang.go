package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

//go:embed counter.erl
var erlangSource []byte

// erlang is a process pair on two Erlang nodes. They find each other through an epmd of their own.
type erlang struct {
	w     *world
	epmd  string // its port
	nodes [2]*process
	lines
}

var _ contestant = (*erlang)(nil)

func newErlang(w *world) contestant { return &erlang{w: w} }

func (e *erlang) Start(context.Context) error {
	source := filepath.Join(e.w.dir, "counter.erl")
	if err := os.WriteFile(source, erlangSource, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("erlc", "-o", e.w.dir, source).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot compile counter.erl: %w\n%s", err, out)
	}
	addrs, err := e.w.ports.addrs(1 + len(e.nodes))
	if err != nil {
		return err
	}
	_, e.epmd, _ = net.SplitHostPort(addrs[0])
	if _, err := e.w.run("epmd", command{args: []string{"epmd", "-port", e.epmd, "-address", "127.0.0.1"}}); err != nil {
		return err
	}
	e.lines = newLines(addrs[1:]...)
	if err := e.launch(0, "primary"); err != nil {
		return err
	}
	return e.launch(1, "backup")
}

func erlangNode(i int) string { return fmt.Sprintf("node%d@127.0.0.1", i) }

func (e *erlang) launch(i int, role string) (err error) {
	_, port, _ := net.SplitHostPort(e.addrs[i])
	e.nodes[i], err = e.w.run("erlang", command{
		args: []string{"erl", "-noshell", "-noinput", "-name", erlangNode(i), "-setcookie", filepath.Base(e.w.dir), "-start_epmd", "false",
			"-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-pa", e.w.dir, "-run", "counter", "start", "-extra", port, erlangNode(1 - i), role},
		env: []string{"ERL_EPMD_PORT=" + e.epmd, "HOME=" + e.w.dir},
	})
	return err
}

// Serving starts what was killed again until it runs: a node ends at once when epmd has not noticed yet that the last one with its
// name is dead.
func (e *erlang) Serving(ctx context.Context) (pid int, err error) {
	err = until(ctx, "erlang", func(ctx context.Context) error {
		for i, p := range e.nodes {
			if p.ended() {
				if err := e.launch(i, "backup"); err != nil {
					return err
				}
			}
		}
		pid, err = e.find(ctx)
		return err
	})
	return pid, err
}

// version asks a node.
func (e *erlang) version(ctx context.Context) string {
	v, err := line.Ask(ctx, e.addrs[0], "version")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(v)
}
