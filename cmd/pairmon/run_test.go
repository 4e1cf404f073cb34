package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

func TestRunEndsAsItsCommandEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what   string
		args   []string
		out    string
		status int
	}{
		{"a status", []string{"--", "sh", "-c", "echo out; echo err >&2; exit 3"}, "out\nerr\n", 3},
		{"a signal", []string{"--", "sh", "-c", "kill -KILL $$"}, "", 137},
		{"well", []string{"sh", "-c", "exit 0"}, "", 0},
		{"for good", []string{"--restart", "2", "--delay", "1ms", "sh", "-c", "echo once; exit 4"}, "once\nonce\nonce\n", 4},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			out, errs, status := newWorld(t).pairmon(t, append([]string{"run"}, c.args...)...)
			require.Equal(t, c.status, status, errs)
			require.Equal(t, c.out, out)
		})
	}
}

func TestRunPassesSignalsOnAndStopsAtSIGTERM(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(out)
	require.NoError(t, err)
	defer file.Close()
	cmd := w.command(t, "run", "--name", "trap", "--", "sh", "-c", `trap "echo usr1" USR1; trap "echo term; exit 7" TERM; echo ready; while :; do sleep 0.01; done`)
	cmd.Stdout = file
	require.NoError(t, cmd.Start())
	printed := func(line string) {
		t.Helper()
		require.Eventually(t, func() bool {
			b, _ := os.ReadFile(out)
			return strings.HasSuffix(string(b), line+"\n")
		}, upWithin, 5*time.Millisecond, "broken promise: it prints %q", line)
	}
	printed("ready")
	require.NoError(t, cmd.Process.Signal(unix.SIGUSR1))
	printed("usr1")
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.Error(t, cmd.Wait())
	printed("term")
	require.Equal(t, 7, cmd.ProcessState.ExitCode(), "broken promise: it ends with the status of its command")
}

func TestAHangingCommandIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mark := filepath.Join(t.TempDir(), "mark")
	out, errs, status := w.pairmon(t, "run", "--restart", "1", "--heartbeat", "10ms", "--", "sh", "-c", "test -e "+mark+" && exit 5; : >"+mark+"; echo hangs; exec sleep 1000")
	require.Equal(t, 5, status, errs)
	require.Equal(t, "hangs\n", out)
}

func TestRunSaysThatThereIsNoSuchCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, errs, status := w.pairmon(t, "run", "--", "no-such-command")
	require.Equal(t, statusNotFound, status)
	require.Contains(t, errs, "no-such-command")
	_, errs, status = w.pairmon(t, "run")
	require.Equal(t, exitUsage, status)
	require.Contains(t, errs, "run wants a COMMAND")
	require.NoDirExists(t, w.dir)
}

func TestManualPagesAndCompletionsComeFromTheVerbs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "man")
	_, errs, status := w.pairmon(t, "man", dir)
	require.Zero(t, status, errs)
	page, err := os.ReadFile(filepath.Join(dir, "pairmon-drill.1"))
	require.NoError(t, err)
	require.Contains(t, string(page), ".TH")
	require.Contains(t, string(page), "SIGSTOP")
	require.NoFileExists(t, filepath.Join(dir, "pairmon-"+bankMemberVerb+".1"))
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, errs, status := w.pairmon(t, "completion", shell)
		require.Zero(t, status, errs)
		require.Contains(t, out, "pairmon")
	}
	out, _, _ := w.pairmon(t, "completion", "bash")
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(out)
	require.NoError(t, check.Run(), "bash(1) is needed: package bash")
}

func TestAPairOutlivesTheProcessThatRunHasStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := filepath.Dir(w.dir)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := w.command(t, "run", "--name", "the bank", "--pair", bankName, "--", exe, bankMemberVerb, home, self(t).String())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
	})
	h := household{home: home, empty: make(chan struct{})}
	first, err := h.await(t.Context(), upWithin, "the pair is protected", protected)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		out, _, _ := w.pairmon(t, "status", "--json")
		var s shown
		return json.Unmarshal([]byte(out), &s) == nil && slices.ContainsFunc(s.Entities, func(e entityStatus) bool {
			return e.Name == "the bank" && e.Pair != nil && len(e.Pair.Members) == 2
		})
	}, upWithin, 10*time.Millisecond, "broken promise: HAM knows both members")
	require.NoError(t, unix.Kill(first.Primary.PID, unix.SIGKILL))
	_, err = h.await(t.Context(), upWithin, "the pair is protected again", func(p *registry.Page) bool { return p.Epoch > first.Epoch && protected(p) })
	require.NoError(t, err)
	out, errs, status := w.pairmon(t, "status")
	require.Zero(t, status, errs)
	require.Regexp(t, `(?m)^HAM: process`, out)
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, cmd.Wait())
	page, err := h.page()
	require.NoError(t, err)
	require.True(t, page.Stopped, "broken promise: run stops the pair")
}
