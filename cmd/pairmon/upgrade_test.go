package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// copySelf makes another program of this one, as far as a pair can tell.
func copySelf(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pairmon-2")
	from, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer from.Close()
	syscall.ForkLock.RLock() // a file that a child holds open for writing cannot be executed
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	require.NoError(t, err)
	_, err = io.Copy(to, from)
	require.NoError(t, err)
	require.NoError(t, to.Close())
	return path
}

func TestUpgradeReplacesBothProcessesAndTellsHow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := filepath.Dir(w.dir) // of a bank that this process owns
	bank := w.command(t, bankMemberVerb, home, self(t).String())
	require.NoError(t, bank.Start())
	h := household{home: home}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		require.NoError(t, pair.Stop(ctx, runDir(home), bankName))
		require.Error(t, bank.Wait(), "the first process was replaced, and killed")
	})
	before, err := h.await(t.Context(), upWithin, "the pair is protected", protected)
	require.NoError(t, err)

	out, errs, status := w.pairmon(t, "upgrade", bankName, filepath.Join(home, "nothing"))
	require.Equal(t, exitFailed, status)
	require.Empty(t, out)
	require.Regexp(t, `^pairmon: cannot upgrade bank to \S+/nothing: refused: the new program cannot take over: stat \S+/nothing: no such file or directory; process \d+ of \S+ goes on\n$`, errs)
	now, err := h.page()
	require.NoError(t, err)
	require.Equal(t, before.Backup, now.Backup)

	program := copySelf(t)
	out, errs, status = w.pairmon(t, "upgrade", bankName, program)
	require.Zero(t, status, errs)
	require.Regexp(t, `^bank: process \d+ was started
bank: it has joined and is being filled; the pair is unprotected
bank: it holds the whole state; the roles change
bank: the new program is the primary; the other half is replaced
(?s:.*)bank: upgraded: process \d+ is the primary, process \d+ the backup, of \S+/pairmon-2
$`, out)
	after, err := h.await(t.Context(), 10*time.Second, "both halves are new", protected)
	require.NoError(t, err)
	require.Equal(t, program, after.Primary.Program)
	require.Equal(t, program, after.Backup.Program)
	require.Equal(t, before.Instance, after.Instance)

	out, errs, status = w.pairmon(t, "upgrade", bankName, program)
	require.Zero(t, status, errs)
	require.Contains(t, out, "bank: the primary runs this program already\n")
	again, err := h.page()
	require.NoError(t, err)
	require.Equal(t, after.Primary.PID, again.Primary.PID)
	require.Equal(t, after.Backup.PID, again.Backup.PID)
}

func TestStatusTellsOfTwoProgramsInOnePair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me := self(t)
	p := registry.Page{Instance: "abc", Primary: &registry.Member{PID: me.PID, Start: me.Start, Program: "/bank-2"},
		Backup: &registry.Member{PID: me.PID, Start: me.Start, Synchronised: true, Program: "/bank-1", Differs: true}}
	publish(t, w.dir, "mixed", p)
	p.Upgrade = "/bank-3"
	publish(t, w.dir, "new", p)
	out, errs, status := w.pairmon(t, "status")
	require.Zero(t, status, errs)
	require.Contains(t, out, "\nmixed: the backup runs /bank-1, the primary /bank-2, or in another mode; an upgrade makes them equal\n")
	require.Contains(t, out, "\nnew: is being upgraded to /bank-3\n")
}
