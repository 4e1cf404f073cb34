package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
)

// asBank makes the test binary, and the backup that it starts, be the bank command.
const asBank = "BANK_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asBank) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is a bank command that is yet to be started.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asBank+"=1", "TANDEM_DIR="+dir)
	return cmd
}

// bankCommand runs one to its end.
func bankCommand(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := command(t, dir, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestBankIsUsableByHand(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	serve := command(t, dir, "serve")
	var log bytes.Buffer
	serve.Stderr = &log
	require.NoError(t, serve.Start())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, pair.Stop(ctx, dir, name))
		require.NoError(t, serve.Wait(), "a stop is no failure:\n%s", &log)
	})
	for _, step := range []struct {
		args   []string
		out    string // a regular expression
		errs   string // part of it
		status int
	}{
		{[]string{"deposit", "ada", "100"}, `^ada has 100 \(1 bookings\)\n$`, "", 0},
		{[]string{"transfer", "ada", "bob", "30"}, `^ada has 70 \(2 bookings\)\n$`, "", 0},
		{[]string{"balance", "bob"}, `^bob has 30 \(1 bookings\)\n$`, "", 0},
		{[]string{"transfer", "ada", "bob", "1000"}, `^$`, "insufficient funds", 1},
		{[]string{"deposit", "ada", "0"}, `^$`, "the amount must be positive", 1},
		{[]string{"audit"}, `^2 accounts hold 100; deposited were 100; 1 transfers\n$`, "", 0},
		{[]string{"load", "--clients", "2", "--for", "200ms"}, ` 0 lost, 0 duplicated, 0 failed; \d+ audits, 0 of them unbalanced\n$`, "", 0},
		{[]string{"audit"}, `^5 accounts hold `, "", 0},
	} {
		out, errs, status := bankCommand(t, dir, step.args...)
		require.Equal(t, step.status, status, "bank %v: %s", step.args, errs)
		require.Regexp(t, step.out, out, "bank %v", step.args)
		require.Contains(t, errs, step.errs, "bank %v", step.args)
	}
}

func TestWrongArgumentsSayWhatIsWrongAndHowItIsRight(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"withdraw", "ada", "5"}, `there is no "withdraw"`},
		{[]string{"deposit", "ada"}, "deposit takes 2, not 1"},
		{[]string{"deposit", "ada", "much"}, `"much" is not an amount`},
		{[]string{"serve", "now"}, "serve takes none"},
		{[]string{"load", "--clients", "0"}, "1 to 1000 clients"},
		{[]string{"load", "--for", "0s"}, "positive duration"},
		{[]string{"load", "--kill"}, "-kill"},
	} {
		out, errs, status := bankCommand(t, dir, c.args...)
		require.Equal(t, 2, status, "bank %v", c.args)
		require.Empty(t, out)
		require.Contains(t, errs, c.want, "bank %v", c.args)
		require.Contains(t, errs, "bank transfer FROM TO AMOUNT", "bank %v", c.args)
	}
	out, _, status := bankCommand(t, dir)
	require.Zero(t, status)
	require.Equal(t, usage, out)
	require.NoDirExists(t, dir, "a wrong command touches nothing")
}
