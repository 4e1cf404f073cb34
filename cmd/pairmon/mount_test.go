package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/tree/mount"
)

func TestTheTreeIsMountedUntilTheVerbIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	needFUSE(t, dir)
	h := serving(t, twoPrograms)
	h.runs("cache")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer log.Close()
	cmd := h.command(t, "mount", dir)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	h.until("the tree is there", func() error {
		_, err := os.ReadFile(filepath.Join(dir, "cache", ".info"))
		return err
	})
	h.does("state", "cache", "17")
	text, err := os.ReadFile(filepath.Join(dir, "cache", ".info"))
	require.NoError(t, err)
	require.Contains(t, string(text), "17", "broken promise: what is read is true at that moment")
	h.kill(h.status().HAM.PID)
	_, err = os.ReadFile(filepath.Join(dir, "cache", ".info"))
	require.NoError(t, err, "broken promise: a takeover of HAM goes unnoticed")

	require.NoError(t, cmd.Process.Signal(unix.SIGINT))
	require.NoError(t, cmd.Wait())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "broken promise: it is unmounted")
}

// needFUSE skips the test on a machine that cannot mount, unless it is required.
func needFUSE(t *testing.T, dir string) {
	t.Helper()
	m, err := mount.Mount(dir, fstest.MapFS{}, nil)
	if errors.Is(err, mount.ErrNoFUSE) && os.Getenv("TANDEM_REQUIRE_FUSE") == "" {
		t.Skipf("%v (TANDEM_REQUIRE_FUSE=1 makes this a failure)", err)
	}
	require.NoError(t, err)
	require.NoError(t, m.Unmount())
	m.Wait()
}
