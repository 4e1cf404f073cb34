package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// A disk that is full costs HAM its journal, and nothing else as long as one of its halves lives.
func TestAFullDiskStopsNobody(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a disk to fill: run this test as root")
	}
	defer takeTurn()()
	h := prepare(t, strings.Replace(other, "\ncommand", "\nrestart = { limit = -1, delays = [\"1ms\"] }\ncommand", 1))
	require.NoError(t, os.Mkdir(h.root, 0o700))
	require.NoError(t, unix.Mount("tmpfs", h.root, "tmpfs", 0, "size=1m,mode=0700"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(h.root, unix.MNT_DETACH)) })
	h.begin()
	h.running("other")
	h.protected()
	fill, err := os.Create(filepath.Join(h.root, "fill"))
	require.NoError(t, err)
	defer fill.Close()
	for b := make([]byte, 4096); err == nil; {
		_, err = fill.Write(b)
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	for n := 1; n <= 20; n++ {
		h.kill(h.running("other").Process.PID)
		h.restarted("other", n)
		if n == 1 {
			ham, _ := h.protected()
			h.kill(ham)
		}
	}
	require.Contains(t, h.log.String(), "journal cannot be written", "broken promise: what that may cost is told")
	require.NoError(t, os.Remove(fill.Name()))
	require.EqualValues(t, 20, h.entity("other").Deaths)
}

// Everything is stopped in one go, however much it is, and also if HAM dies while it does.
func TestAThousandProgramsAreStopped(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("it takes long: go test ./ham/daemon -long")
	}
	defer takeTurn()()
	const programs = 1000
	var toml strings.Builder
	for i := range programs {
		fmt.Fprintf(&toml, "[[entity]]\nname = \"p%d\"\ncommand = [\"sleep\", \"1000\"]\noutput = { drop = true }\n", i)
	}
	h := begin(t, toml.String())
	h.until("all run", func() bool {
		e := h.entity(fmt.Sprintf("p%d", programs-1))
		return e != nil && e.Process.Phase == core.Running
	})
	ham, _ := h.protected()
	require.NoError(t, h.cmd.Process.Signal(unix.SIGTERM))
	h.until("it has begun to stop", func() bool { return h.told("p0 stopped") > 0 || h.page().Stopped })
	_ = unix.Kill(ham, unix.SIGKILL)
	require.Zero(t, h.exitCode())
	require.Empty(t, h.left(), "broken promise: nothing is left")
}
