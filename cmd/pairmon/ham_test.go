package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

const twoPrograms = `
[[entity]]
name = "disk"
command = ["sleep", "1000"]
[[entity]]
name = "cache"
command = ["sleep", "1001"]
after = ["disk"]
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
`

func TestServeStartsWhatAFileDeclaresAndRestartsWhatDies(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	h.runs("disk")
	first := h.runs("cache")
	h.kill(first.PID)
	again := h.is("cache", "is restarted", func(e *entityStatus) bool { return e.Restarts == 1 && e.PID != 0 })
	require.NotEqual(t, first.PID, again.PID)
	require.Equal(t, "SIGKILL", exitText(again.LastExit))

	require.Regexp(t, `(?m)^HAM: process \d+, guardian \d+\nENTITY .*\ndisk +running .*\ncache +running +\d+ +\d+s +none +1 +1 +SIGKILL +-\n`, h.does("status"))
	require.Regexp(t, `(?m)^cache +running`, h.does("status", "cache"))
	require.NotContains(t, h.does("status", "cache"), "disk")
	require.Regexp(t, fmt.Sprintf(`(?m)^\S+ \S+ cache died \(process %d\), SIGKILL$`, first.PID), h.does("history", "cache"))
	require.Contains(t, h.does("events"), "cache/death/restart")
	require.Contains(t, h.does("events", "--json"), `"what":"restarted"`)
}

func TestTheTreeIsShown(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	h.runs("cache")
	require.Equal(t, "├── _global\n├── cache\n│   └── death\n│       └── restart\n└── disk\n", h.does("tree"))
	require.Equal(t, ".info\n.info.json\nrestart\nrestart.json\n", h.does("ls", "/cache/death/"))
	require.Contains(t, h.does("cat", "cache/.info"), "ATTACHED")
	require.True(t, json.Valid([]byte(h.does("cat", "cache/death/restart.json"))))
	_, errs, status := h.pairmon(t, "cat", "till/.info")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, `entity "till": not found`)
	require.Contains(t, h.does("__complete", "ls", ""), "\ncache/\n")
	require.Contains(t, h.does("__complete", "stop", ""), "\ncache\n")
}

func TestVerbsChangeWhatHAMWatches(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	first := h.runs("cache")

	require.Equal(t, "cache: in state 3\n", h.does("state", "cache", "3"))
	require.Equal(t, "cache: raised type 1, class 2, severity 3\n", h.does("raise", "cache", "--type", "1", "--class", "2", "--severity", "3"))
	require.Equal(t, "cache/death: disabled\n", h.does("disable", "cache/death"))
	require.Equal(t, "cache: enabled\n", h.does("enable", "cache", "--recurse"))
	require.Equal(t, "cache: is being restarted\n", h.does("restart", "cache"))
	h.is("cache", "is another process", func(e *entityStatus) bool { return e.PID != 0 && e.PID != first.PID && e.State != nil })
	require.Equal(t, "disk: stopped\n", h.does("stop", "disk"), "and before it what depends on it")
	for _, e := range h.status().Entities {
		require.Zero(t, e.PID, e.Name)
	}
	require.Equal(t, "cache: is being started\n", h.does("start", "cache"))
	h.does("start", "disk")
	h.runs("cache")

	_, errs, status := h.pairmon(t, "state", "till", "1")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, `cannot report a state of till: entity "till": not found`)
	_, errs, status = h.pairmon(t, "enable", "a/b/c/d")
	require.Equal(t, exitUsage, status)
	require.Contains(t, errs, "expected at most 3")
}

func TestAProcessIsAttachedAndDetached(t *testing.T) {
	t.Parallel()
	h := serving(t, "")
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start(), "sleep(1) is needed: package coreutils")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pid := fmt.Sprint(cmd.Process.Pid)
	require.Equal(t, "other: process "+pid+" is watched\n", h.does("attach", "other", "--pid", pid))
	require.Equal(t, cmd.Process.Pid, h.runs("other").PID)
	require.Equal(t, "other: detached\n", h.does("detach", "other"))
	require.Empty(t, h.status().Entities)

	require.Equal(t, "own: is being started\n", h.does("attach", "own", "--", "sleep", "1000"))
	own := h.runs("own").PID
	require.Equal(t, "own: detached\n", h.does("detach", "own", "--stop"))
	h.until("it is ended", func() error {
		if len(h.status().Entities) > 0 {
			return errors.New("it is still there")
		}
		return nil
	})
	_, err := proc.Identify(own)
	require.ErrorIs(t, err, proc.ErrGone)
}

func TestReloadRemovesWhatTheFileDoesNotDeclareAnyMore(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	disk, cache := h.runs("disk"), h.runs("cache")
	h.does("attach", "own", "--", "sleep", "1000")
	h.runs("own")

	h.write(twoPrograms + "\nmistake = 1\n")
	_, errs, status := h.pairmon(t, "reload")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "ham.toml:16: ")
	require.Len(t, h.status().Entities, 3, "broken promise: a file with a mistake changes nothing")

	h.write("[[entity]]\nname = \"disk\"\ncommand = [\"sleep\", \"1000\"]\n[[entity]]\nname = \"net\"\n")
	require.Equal(t, "cache: removed\n"+h.file+": declared: disk, net\n", h.does("reload"))
	h.until("cache is gone", func() error {
		var names []string
		for _, e := range h.status().Entities {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != "disk own net" {
			return errors.New(got)
		}
		return nil
	})
	require.Equal(t, disk.PID, h.runs("disk").PID, "broken promise: what is declared as before goes on")
	_, err := proc.Identify(cache.PID)
	require.ErrorIs(t, err, proc.ErrGone)

	h.write("")
	require.NoError(t, h.cmd.Process.Signal(unix.SIGHUP))
	h.until("SIGHUP does the same", func() error {
		if n := len(h.status().Entities); n != 1 {
			return fmt.Errorf("%d entities", n)
		}
		return nil
	})
	h.runs("own")
}

func TestAKeeperThatWasKilledIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	before, cache := h.status().HAM, h.runs("cache")
	h.kill(h.cmd.Process.Pid)
	<-h.end
	h.write("[[entity]]\nname = \"disk\"\ncommand = [\"sleep\", \"1000\"]\n")
	h.serve()
	require.Equal(t, before.PID, h.status().HAM.PID, "broken promise: HAM goes on without its keeper")
	h.until("what the new file does not declare is gone", func() error {
		if id, err := proc.Identify(cache.PID); err == nil {
			return fmt.Errorf("%v is there", id)
		}
		return nil
	})
}

func TestVerbsReachHAMThroughItsDoor(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	h.runs("cache")
	elsewhere := newWorld(t) // where there is no HAM
	for _, args := range [][]string{{"status", "cache"}, {"tree"}, {"events"}, {"state", "cache", "1"}, {"stop", "cache"}} {
		out, errs, status := elsewhere.pairmon(t, append(args, "--door", h.door())...)
		require.Zero(t, status, "pairmon %q: %s", args, errs)
		require.Contains(t, out, "cache", "pairmon %q", args)
	}
	_, errs, status := elsewhere.pairmon(t, "tree", "--door", t.TempDir())
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "no HAM runs")
}

func TestASecondServeDoesNoHarm(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	disk := h.runs("disk")
	other := filepath.Join(t.TempDir(), "other.toml")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	for _, args := range [][]string{{"serve", "--config", other}, {"serve"}, {"run", "--", "true"}} {
		_, errs, status := h.pairmon(t, args...)
		require.Equal(t, exitFailed, status)
		require.Contains(t, errs, "cannot keep HAM: HAM is kept by another process")
	}
	require.Equal(t, disk.PID, h.runs("disk").PID)
	require.Len(t, h.status().Entities, 2)
}

func TestStopAllStopsWhatHAMRunsAndThenHAM(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	disk, cache := h.runs("disk"), h.runs("cache")
	require.Equal(t, "HAM: stopped\n", h.does("stop", "--all"))
	for _, e := range []entityStatus{disk, cache} {
		_, err := proc.Identify(e.PID)
		require.ErrorIs(t, err, proc.ErrGone, "broken promise: what HAM has started is stopped: %s", e.Name)
	}
	select {
	case <-h.end:
		require.Zero(t, h.cmd.ProcessState.ExitCode(), h.log())
	case <-time.After(stopWithin):
		require.Fail(t, "broken promise: serve ends with HAM")
	}
}

func TestVerbsSayThatThereIsNoHAM(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]string{{"events"}, {"history"}, {"attach", "a", "--pid", "1"}, {"detach", "a"}, {"enable", "a"}, {"disable", "a"}, {"raise", "a"},
		{"state", "a", "1"}, {"start", "a"}, {"restart", "a"}, {"stop", "--all"}, {"stop", "ham"}, {"ls"}, {"cat", ".info"}, {"tree"}, {"mount", w.dir}} {
		_, errs, status := w.pairmon(t, args...)
		require.Equal(t, exitFailed, status, "pairmon %q", args)
		require.Contains(t, errs, "cannot reach HAM: no HAM runs", "pairmon %q", args)
	}
	require.NoDirExists(t, w.dir)
}
