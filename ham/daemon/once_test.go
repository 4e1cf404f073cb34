package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// exitCode waits for the end of the keeper.
func (h *host) exitCode() int {
	h.Helper()
	select {
	case <-h.end:
	case <-time.After(patience):
		require.FailNow(h, "broken promise: the keeper ends", "%s", h.log)
	}
	return h.cmd.ProcessState.ExitCode()
}

func TestTheKeeperOfOneProgramEndsAsItDoes(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -KILL $$": 128 + 9, "exec /no/such/program": 127} {
		h := begin(t, fmt.Sprintf("[[entity]]\nname = \"p\"\ncommand = [\"/bin/sh\", \"-c\", %q]\n", script), envOnce+"=p")
		require.Equal(t, want, h.exitCode(), "of %q", script)
		require.Empty(t, h.left(), "broken promise: nothing is left")
	}
	h := begin(t, "[[entity]]\nname = \"p\"\ncommand = [\"/no/such/program\"]\n", envOnce+"=p")
	require.NotZero(t, h.exitCode(), "broken promise: what cannot be started has failed")
}

const oneProgram = `
[[entity]]
name = "p"
command = ["/bin/sh", "-c", "trap 'echo USR1 >> $DIR/heard' USR1; trap 'echo TERM >> $DIR/heard; exit 3' TERM; touch $DIR/up; while :; do sleep 0.01; done"]
`

func TestSignalsReachTheOneProgram(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, oneProgram, envOnce+"=p")
	h.until("it runs", func() bool { _, err := os.Stat(filepath.Join(h.dir(), "up")); return err == nil })
	require.NoError(t, h.cmd.Process.Signal(unix.SIGUSR1))
	h.until("it has heard", func() bool { return len(h.lines("heard")) == 1 })
	require.NoError(t, h.cmd.Process.Signal(unix.SIGTERM))
	require.Equal(t, 3, h.exitCode(), "broken promise: its status is the keeper's when it was told to end, too")
	require.Equal(t, []string{"USR1", "TERM"}, h.lines("heard"))
}

func TestTheOneProgramIsRestartedAsDeclared(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
command = ["/bin/sh", "-c", "echo x >> $DIR/runs; exit 5"]
restart = { limit = 2, delays = ["1ms"] }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
`, envOnce+"=p")
	require.Equal(t, 5, h.exitCode(), "broken promise: when HAM has given up, the keeper ends with the last status")
	require.Len(t, h.lines("runs"), 3, "broken promise: twice within the budget")
}

// As process 1 of a container the keeper inherits every orphan.
func TestTheKeeperIsFitToBeProcess1(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a pid namespace: run this test as root")
	}
	defer takeTurn()()
	h := prepare(t, `
[[entity]]
name = "p"
command = ["/bin/sh", "-c", "trap 'exit 4' TERM; i=0; while [ $i -lt 40 ]; do (sleep 0.02 &); i=$((i+1)); done; touch $DIR/up; while :; do sleep 0.01; done"]
`)
	h.sys.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
	h.begin(envOnce + "=p")
	h.until("it runs", func() bool { _, err := os.Stat(filepath.Join(h.dir(), "up")); return err == nil })
	h.until("no zombie is left, and no orphan", func() bool {
		children := childrenOf(h.cmd.Process.Pid)
		return len(children) == 1 && !strings.HasPrefix(children[0], "Z") // HAM
	})
	require.NoError(t, h.cmd.Process.Signal(unix.SIGTERM))
	require.Equal(t, 4, h.exitCode())
	require.Empty(t, h.left(), "broken promise: SIGTERM ends all")
}

// childrenOf returns the states and names of a process's children.
func childrenOf(parent int) (all []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range dirs {
		line, _ := os.ReadFile(file)
		open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
		if open < 0 || end < 0 {
			continue
		}
		fields := strings.Fields(string(line[end+1:]))
		if len(fields) > 1 && fields[1] == fmt.Sprint(parent) {
			all = append(all, fields[0]+" "+string(line[open+1:end]))
		}
	}
	return all
}

// The keeper reaps what HAM leaves it, though it is not process 1.
func TestTheKeeperReapsOrphans(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
command = ["/bin/sh", "-c", "i=0; while [ $i -lt 40 ]; do (sleep 0.02 &); i=$((i+1)); done; touch $DIR/up; sleep 1000"]
`)
	h.until("it runs", func() bool { _, err := os.Stat(filepath.Join(h.dir(), "up")); return err == nil })
	h.until("no zombie is left", func() bool { return len(childrenOf(h.cmd.Process.Pid)) == 1 })
	h.killBoth()
	h.running("p")
	h.until("no zombie is left of HAM", func() bool {
		for _, c := range childrenOf(h.cmd.Process.Pid) {
			if strings.HasPrefix(c, "Z") {
				return false
			}
		}
		return true
	})
}
