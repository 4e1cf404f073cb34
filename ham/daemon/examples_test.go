package daemon_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// QNX's first example: attach inetd, restart it when it dies.
func TestSimpleRestart(t *testing.T) {
	t.Parallel()
	h := begin(t, `
[[entity]]
name = "inetd"
command = ["sleep", "1000"]
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
`)
	first := h.running("inetd").Process.PID
	h.kill(first)
	e := h.restarted("inetd", 1)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.Process.PID))
	require.NoError(t, err)
	require.Contains(t, string(b), "SigIgn:\t0000000000000000\n", "broken promise: what HAM starts ignores no signal")
	require.NotEqual(t, first, e.Process.PID)
	require.EqualValues(t, 1, e.Deaths)
	require.Equal(t, int(unix.SIGKILL), e.LastExit.Signal)
}
