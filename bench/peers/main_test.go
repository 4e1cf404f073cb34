package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes this program do for what the real one does: be a process that takes part, or the whole bench.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == processVerb || os.Args[1] == benchVerb) {
		run := runProcess
		if os.Args[1] == benchVerb {
			run = bench
		}
		if err := run(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(runTests(m))
}

// builtSmall returns the program small, which is built once for all tests.
var builtSmall func() (string, error)

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "peers-test")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	builtSmall = sync.OnceValues(func() (string, error) { return buildSmall(dir) })
	return m.Run()
}

const benchVerb = "bench"

// inTestWorld runs f in a world of its own, and sees that nothing is left of it. Worlds reap whatever child they find, so tests with
// one do not run in parallel.
func inTestWorld(t *testing.T, f func(ctx context.Context, w *world)) {
	t.Helper()
	base := t.TempDir()
	t.Setenv("TMPDIR", base)
	w, err := newWorld(1, builtSmall)
	require.NoError(t, err)
	defer func() {
		said := ""
		if t.Failed() {
			said = complaints(w.procs)
		}
		require.NoError(t, w.close(nil))
		require.Empty(t, children(), "processes outlive the world in which they were started")
		left, err := filepath.Glob(filepath.Join(base, "peers*"))
		require.NoError(t, err)
		require.Empty(t, left, "the world leaves files behind")
		if said != "" {
			t.Log(said)
		}
	}()
	f(t.Context(), w)
}

// requireInstalled fails and says what brings what is not there.
func requireInstalled(t *testing.T, needs []program) {
	t.Helper()
	for _, p := range missing(needs) {
		require.Failf(t, "a contestant cannot take part", "%s is not installed: install the Debian package %s", p.command, p.pkg)
	}
}
