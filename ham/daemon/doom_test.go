package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/daemon"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// The halves of a test are told to kill at a step of their work: see doom. envDoom names the file that says so.
const envDoom = "DAEMON_TEST_DOOM"

// doom says who is killed, at which passage of a point of the primary, counted from the first passage of any that sees it.
type doom struct {
	Victim  string     // "ham", "guardian" or "both"
	Point   pair.Point // of the primary
	Passage int
}

func (d doom) String() string { return fmt.Sprintf("%s at %v %d", d.Victim, d.Point, d.Passage) }

// executed is added to the name of the file when it has happened.
const executed = ".executed"

// doomedHalf is a half of HAM that kills as the file says.
func doomedHalf(path string) int {
	var c daemon.HalfConfig
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		panic(err)
	}
	var d doom
	passages := 0
	c.AtPoint = func(p pair.Point) {
		if d.Passage == 0 {
			b, err := os.ReadFile(path)
			if err != nil || os.Remove(path) != nil || json.Unmarshal(b, &d) != nil {
				return
			}
		}
		if p != d.Point {
			return
		}
		if passages++; passages == d.Passage {
			_ = os.WriteFile(path+executed, nil, 0o600)
			d.execute(c.RunDir)
		}
	}
	signal.Notify(make(chan os.Signal, 1), unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT)
	if err := c.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (d doom) execute(root string) {
	if d.Victim != "ham" {
		if page, err := registry.Read(root, talk.Pair); err == nil && page.Backup != nil {
			_ = unix.Kill(page.Backup.PID, unix.SIGKILL)
		}
	}
	if d.Victim != "guardian" {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // not one instruction more of the loop
	}
}

// doomed is the environment of a HAM that can be doomed.
func doomed(dir string) string { return envDoom + "=" + filepath.Join(dir, "doom") }

// doom has somebody killed.
func (h *host) doom(d doom) {
	h.Helper()
	b, err := json.Marshal(d)
	require.NoError(h, err)
	path := filepath.Join(h.dir(), "doom")
	require.NoError(h, os.WriteFile(path+".new", b, 0o600))
	require.NoError(h, os.Rename(path+".new", path))
}

// executed tells whether the doom has struck.
func (h *host) executed() bool {
	_, err := os.Stat(filepath.Join(h.dir(), "doom"+executed))
	return err == nil
}
