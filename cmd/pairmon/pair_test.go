package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
)

func TestSwitchAndStopCommandARunningPair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := filepath.Dir(w.dir) // of a bank that this process owns
	bank := w.command(t, bankMemberVerb, home, self(t).String())
	require.NoError(t, bank.Start())
	h := household{home: home}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if err := pair.Stop(ctx, runDir(home), bankName); err != nil {
			require.ErrorIs(t, err, pair.ErrNotRunning)
		}
		require.NoError(t, bank.Wait(), "a stop is no failure")
	})
	before, err := h.await(t.Context(), upWithin, "the pair is protected", protected)
	require.NoError(t, err)

	out, errs, status := w.pairmon(t, "switch", bankName)
	require.Zero(t, status, errs)
	require.Regexp(t, `^bank: process \d+ is primary now, epoch 2\n$`, out)
	after, err := h.await(t.Context(), 10*time.Second, "the old primary is the backup", protected)
	require.NoError(t, err)
	require.Equal(t, before.Primary.PID, after.Backup.PID)
	require.Equal(t, before.Backup.PID, after.Primary.PID)

	out, _, status = w.pairmon(t, "status", bankName)
	require.Zero(t, status)
	require.Regexp(t, `(?m)^bank +protected +\d+ +\d+ `, out)

	out, errs, status = w.pairmon(t, "stop", bankName)
	require.Zero(t, status, errs)
	require.Equal(t, "bank: stopped\n", out)
	out, _, status = w.pairmon(t, "status", bankName)
	require.Zero(t, status)
	require.Regexp(t, `(?m)^bank +stopped +- +- `, out)
	_, errs, status = w.pairmon(t, "stop", bankName)
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "no such pair is running")
}
