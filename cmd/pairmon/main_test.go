package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asPairmon makes the test binary, and the members that it starts, be the pairmon command.
const asPairmon = "PAIRMON_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPairmon) != "" {
		main()
		return
	}
	// Whatever a command leaves behind becomes a child of this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := nobodyLeft(); err != nil {
		fmt.Fprintln(os.Stderr, "broken promise: the tests left processes behind:", err)
		code = 1
	}
	os.Exit(code)
}

// nobodyLeft waits for the last descendants to end, and kills those that do not.
func nobodyLeft() error {
	h := household{empty: make(chan struct{})}
	go h.reap()
	if h.emptyWithin(5 * time.Second) {
		return nil
	}
	children, _ := childrenOf(os.Getpid())
	var names []string
	for _, p := range children {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.ID().PID))
		names = append(names, fmt.Sprintf("%v %q", p.ID(), bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		_ = p.Close()
	}
	return fmt.Errorf("%v: %w", names, h.killAll())
}

// world is where a command runs: nothing is outside of it.
type world struct{ dir, tmp string }

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{dir: filepath.Join(t.TempDir(), "run"), tmp: t.TempDir()}
	t.Cleanup(func() {
		left, err := os.ReadDir(w.tmp)
		require.NoError(t, err)
		require.Empty(t, left, "broken promise: temporary files are left behind")
	})
	return w
}

// command is a pairmon command that is yet to be started.
func (w world) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asPairmon+"=1", "TANDEM_DIR="+w.dir, "TMPDIR="+w.tmp)
	return cmd
}

// pairmon runs a command to its end.
func (w world) pairmon(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := w.command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestWrongArgumentsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"frobnicate"}, `there is no verb "frobnicate"`, exitUsage},
		{[]string{"demo", "--kills", "0"}, "--kills 0: want 1 to", exitUsage},
		{[]string{"demo", "--kills", "many"}, `invalid argument "many"`, exitUsage},
		{[]string{"demo", "--clients", "-1"}, "--clients -1: want 1 to", exitUsage},
		{[]string{"demo", "--dir", "x"}, "--dir has no meaning", exitUsage},
		{[]string{"demo", "bank"}, `demo wants no arguments, not "bank"`, exitUsage},
		{[]string{"demo", "--kils", "3"}, "unknown flag: --kils", exitUsage},
		{[]string{"status", "a", "b"}, `not "a b"`, exitUsage},
		{[]string{"switch"}, "switch wants the NAME of a pair", exitUsage},
		{[]string{"stop"}, "stop wants the NAME of a pair or an entity", exitUsage},
		{[]string{"status", "../etc"}, "not a pair's name", exitFailed},
		{[]string{"switch", "--", "-x"}, "not a pair's name", exitFailed},
		{[]string{"status", "bank"}, "no such pair", exitFailed},
		{[]string{"switch", "bank"}, "cannot switch bank: no such pair is running", exitFailed},
		{[]string{"stop", "bank"}, "cannot stop bank: no such pair is running", exitFailed},
		{[]string{"upgrade", "bank"}, "upgrade wants the NAME of a pair and the path of a BINARY", exitUsage},
		{[]string{"upgrade", "bank", "x", "y"}, `not "bank x y"`, exitUsage},
		{[]string{"upgrade", "bank", "x", "--within", "0s"}, "--within 0s: want more", exitUsage},
		{[]string{"upgrade", "bank", "/bin/true"}, "cannot upgrade bank to /bin/true: no such pair is running", exitFailed},
		{[]string{"upgrade", "../etc", "/bin/true"}, "not a pair's name", exitFailed},
		{[]string{"attach", "a"}, "attach wants either --pid PID or a COMMAND", exitUsage},
		{[]string{"attach", "a", "--pid", "1", "--", "b"}, "attach wants either --pid PID or a COMMAND", exitUsage},
		{[]string{"attach", "a", "--pid", "-1"}, "--pid -1: want the number of a process", exitUsage},
		{[]string{"attach"}, "attach wants a NAME", exitUsage},
		{[]string{"stop", "--all", "bank"}, "no NAME beside --all", exitUsage},
		{[]string{"state", "a"}, "state wants the NAME of an entity and the NUMBER of a state", exitUsage},
		{[]string{"serve", "bank"}, "serve wants no arguments", exitUsage},
		{[]string{"serve", "--config", "no-such-file"}, "cannot read the configuration", exitFailed},
		{[]string{"reload"}, "no file was used before", exitUsage},
		{[]string{"run", "--delay", "0s", "true"}, "--delay 0s: want more than nothing", exitUsage},
		{[]string{"run", "--heartbeat", "-1s", "true"}, "--heartbeat -1s: want a time", exitUsage},
		{[]string{"cat"}, "cat wants a PATH", exitUsage},
		{[]string{bankMemberVerb, w.tmp, "me"}, `"me" is no process`, exitUsage},
	} {
		out, errs, status := w.pairmon(t, c.args...)
		require.Equal(t, c.status, status, "pairmon %q: %s", c.args, errs)
		require.Empty(t, out)
		require.Contains(t, errs, c.want, "pairmon %q", c.args)
	}
	require.NoDirExists(t, w.dir, "a wrong command touches nothing")
}
