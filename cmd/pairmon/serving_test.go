package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

// hamIn is a HAM that pairmon serve keeps in a world.
type hamIn struct {
	world
	*testing.T
	file string
	cmd  *exec.Cmd
	end  chan struct{}
}

// serving starts a HAM with a configuration, and returns when it has a guardian and watches what is declared. At the end of the
// test it is stopped.
func serving(t *testing.T, toml string) *hamIn {
	t.Helper()
	h := &hamIn{world: newWorld(t), T: t, file: filepath.Join(t.TempDir(), "ham.toml")}
	h.write(toml)
	h.serve()
	t.Cleanup(func() {
		h.stopped()
		if t.Failed() {
			t.Logf("the log of HAM:\n%s", h.log())
		}
	})
	return h
}

func (h *hamIn) write(toml string) {
	h.Helper()
	require.NoError(h, os.WriteFile(h.file, []byte(toml), 0o600))
}

// serve starts pairmon serve.
func (h *hamIn) serve() {
	h.Helper()
	// A file, not a pipe: HAM outlives its keeper.
	log, err := os.OpenFile(h.file+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(h, err)
	defer log.Close()
	end := make(chan struct{})
	cmd := h.command(h.T, "serve", "--config", h.file, "--door", h.door())
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(h, cmd.Start())
	go func() {
		_ = cmd.Wait()
		close(end)
	}()
	h.cmd, h.end = cmd, end
	h.until("HAM has a guardian", func() error {
		s := h.status()
		if s.HAM == nil || s.HAM.GuardianPID == 0 {
			return fmt.Errorf("it is %+v", s.HAM)
		}
		return nil
	})
}

func (h *hamIn) door() string { return filepath.Join(filepath.Dir(h.file), "door") }

// log returns what HAM and its keeper have printed.
func (h *hamIn) log() string {
	b, _ := os.ReadFile(h.file + ".log")
	return string(b)
}

// stopped stops HAM, and returns when its keeper has ended.
func (h *hamIn) stopped() {
	h.Helper()
	_ = h.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-h.end:
	case <-time.After(2 * stopWithin):
		h.Errorf("broken promise: serve ends when it is asked to")
		_ = h.cmd.Process.Kill()
		<-h.end
	}
}

// does runs a verb that must succeed, and returns what it prints.
func (h *hamIn) does(args ...string) string {
	h.Helper()
	out, errs, status := h.pairmon(h.T, args...)
	require.Zero(h, status, "pairmon %q: %s", args, errs)
	return out
}

// until waits for something to be so.
func (h *hamIn) until(what string, ok func() error) {
	h.Helper()
	for end := time.Now().Add(upWithin); ; time.Sleep(5 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			require.Failf(h, "broken promise", "%s: not within %v: %v\n%s", what, upWithin, err, h.log())
		}
	}
}

// shown is what status --json shows.
type shown struct {
	HAM      *hamStatus
	Entities []entityStatus
}

func (h *hamIn) status() (s shown) {
	h.Helper()
	out, _, _ := h.pairmon(h.T, "status", "--json")
	require.NoError(h, json.Unmarshal([]byte(out), &s), out)
	return s
}

// is waits for an entity to be as wanted.
func (h *hamIn) is(name, what string, ok func(*entityStatus) bool) (e entityStatus) {
	h.Helper()
	h.until(name+" "+what, func() error {
		for _, e = range h.status().Entities {
			if e.Name == name && ok(&e) {
				return nil
			}
		}
		return fmt.Errorf("there are %+v", h.status().Entities)
	})
	return e
}

func (h *hamIn) runs(name string) entityStatus {
	h.Helper()
	return h.is(name, "runs", func(e *entityStatus) bool { return e.Phase == "running" && e.Ready })
}

// kill kills processes, and waits until all of them are dead.
func (h *hamIn) kill(pids ...int) {
	h.Helper()
	for _, pid := range pids {
		require.NoError(h, unix.Kill(pid, unix.SIGKILL))
	}
	for _, pid := range pids {
		h.until("a killed process dies", func() error {
			if id, err := proc.Identify(pid); err == nil && id.Alive() {
				return fmt.Errorf("%d lives", pid)
			}
			return nil
		})
	}
}
