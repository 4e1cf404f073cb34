package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

func TestDemoLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out, errs, status := w.pairmon(t, "demo", "--kills", "3", "--clients", "2", "--json", "--seed", "7")
	require.Zero(t, status, "%s%s", out, errs)
	require.Equal(t, 1, strings.Count(out, "\n"), "nothing but the verdict goes to stdout")
	var v verdict
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, 3, v.Kills)
	require.Equal(t, 2, v.Clients)
	require.Equal(t, uint64(7), v.Seed)
	require.Zero(t, v.Lost, "broken promise: requests are lost")
	require.Zero(t, v.Duplicated, "broken promise: requests are made twice")
	require.Zero(t, v.Failed)
	require.Positive(t, v.Requests)
	require.Positive(t, v.Audits)
	require.Positive(t, v.Gap.P50)
	require.Positive(t, v.Unprotected.P50)
	require.Contains(t, v.Phases, "noticed")
	require.Contains(t, errs, "restored", "progress is shown")
	require.NoDirExists(t, w.dir, "the demo keeps out of the pairs that there are")
}

func TestDemoSpeaksToPeople(t *testing.T) {
	t.Parallel()
	out, errs, status := newWorld(t).pairmon(t, "demo", "--kills", "1", "--clients", "1")
	require.Zero(t, status, "%s%s", out, errs)
	require.Regexp(t, `(?m)^ +1 +\d+ +\d+ \|( +[\d.-]+){7} \| +[\d.]+$`, out, "a row for the takeover")
	require.Contains(t, out, "Nothing was lost, nothing was done twice.\n")
	require.NotContains(t, out, "\x1b", "no control characters where there is no terminal")
	require.Empty(t, errs)
}

// running is a demo that has made its first kill.
type running struct {
	cmd     *exec.Cmd
	stdout  bytes.Buffer
	dir     string // its run directory
	drained chan struct{}
}

func startDemo(t *testing.T, w world) *running {
	t.Helper()
	r := &running{cmd: w.command(t, "demo", "--kills", "100000", "--clients", "2", "--json"), drained: make(chan struct{})}
	r.cmd.Stdout = &r.stdout
	read, write, err := os.Pipe()
	require.NoError(t, err)
	r.cmd.Stderr = write
	require.NoError(t, r.cmd.Start())
	require.NoError(t, write.Close())
	first := regexp.MustCompile(`^ +1 +\d+ `)
	lookOn := regexp.MustCompile(`--dir (\S+)`)
	lines := bufio.NewScanner(read)
	for lines.Scan() && !first.MatchString(lines.Text()) {
		if m := lookOn.FindStringSubmatch(lines.Text()); m != nil {
			r.dir = m[1]
		}
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, r.dir)
	go func() {
		defer close(r.drained)
		defer read.Close()
		_, _ = io.Copy(io.Discard, read)
	}()
	return r
}

func TestDemoThatIsInterruptedCleansUp(t *testing.T) {
	t.Parallel()
	r := startDemo(t, newWorld(t)) // which checks that no file is left; TestMain checks the processes
	require.NoError(t, r.cmd.Process.Signal(unix.SIGINT))
	require.Error(t, r.cmd.Wait())
	<-r.drained
	require.Equal(t, exitInterrupted, r.cmd.ProcessState.ExitCode())
	var v verdict
	require.NoError(t, json.Unmarshal(r.stdout.Bytes(), &v), "there is a verdict all the same")
	require.Contains(t, v.Error, "interrupt")
	require.Positive(t, v.Kills)
	require.Zero(t, v.Lost+v.Duplicated+v.Failed, "the pair stops when its clients have finished")
}

func TestDemoThatIsKilledLeavesNobodyBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := startDemo(t, w)
	require.NoError(t, r.cmd.Process.Kill())
	require.Error(t, r.cmd.Wait())
	p, err := registry.Read(r.dir, bankName)
	if err == nil { // they may be gone already
		for _, m := range []*registry.Member{p.Primary, p.Backup} {
			if m != nil {
				requireEnd(t, proc.ID{PID: m.PID, Start: m.Start})
			}
		}
	}
	// One that was being started has seen, or sees, that the demo is gone.
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(w.tmp)
		return err == nil && len(left) == 0
	}, 10*time.Second, time.Millisecond, "broken promise: the bank does not outlive its demo")
}

// requireEnd waits for the end of a process.
func requireEnd(t *testing.T, id proc.ID) {
	t.Helper()
	p, err := proc.Open(id)
	if err != nil {
		require.ErrorIs(t, err, proc.ErrGone)
		return
	}
	defer p.Close()
	ended, err := sock.WaitReadable(p.FD(), 10*time.Second)
	require.NoError(t, err)
	require.True(t, ended, "broken promise: process %v outlives its demo", id)
}
