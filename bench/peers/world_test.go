package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEveryProcessDiesWithTheBench(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) // the dead fall to this process
	requireInstalled(t, []program{erl, erlc, epmd})
	cmd := exec.Command("/proc/self/exe", benchVerb, "--only", "tandem,restart,erlang,raft-tuned", "--kills", "1000")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	said := bufio.NewScanner(stderr)
	for lines := 0; lines < 2 && said.Scan(); lines++ { // they run; the first round is over
		t.Log(said.Text())
	}
	require.Greater(t, len(inDirectory(dir)), 10, "the processes of the run cannot be seen: this test would prove nothing")
	require.NoError(t, cmd.Process.Signal(unix.SIGKILL))
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return len(inDirectory(dir)) == 0 }, 10*time.Second, 10*time.Millisecond,
		"processes outlive the bench that started them")
	require.Eventually(t, func() bool {
		_, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		return errors.Is(err, unix.ECHILD)
	}, 10*time.Second, time.Millisecond, "not all of them end")
}

// inDirectory lists the processes with that temporary directory.
func inDirectory(dir string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte("TMPDIR="+dir+"\x00")) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

func TestPortsAreGivenOutOnceAndNotToClients(t *testing.T) {
	t.Parallel()
	p := newPorts()
	seen := map[string]bool{}
	addrs, err := p.addrs(50)
	require.NoError(t, err)
	for _, addr := range addrs {
		require.False(t, seen[addr], "%s was given out twice", addr)
		seen[addr] = true
	}
	require.LessOrEqual(t, p.next, p.end, "a port is in the range from which the kernel takes those of clients")
}
