package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
)

// banking starts a bank that this process owns, and returns when it is protected.
func banking(t *testing.T) world {
	t.Helper()
	w := newWorld(t)
	home := filepath.Dir(w.dir)
	bank := w.command(t, bankMemberVerb, home, self(t).String())
	require.NoError(t, bank.Start())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		if err := pair.Stop(ctx, runDir(home), bankName); err != nil {
			require.ErrorIs(t, err, pair.ErrNotRunning)
		}
		_ = bank.Wait()
	})
	h := household{home: home}
	_, err := h.await(t.Context(), upWithin, "the pair is protected", protected)
	require.NoError(t, err)
	return w
}

func TestADrillKillsThePrimaryAndReportsTheTakeover(t *testing.T) {
	t.Parallel()
	w := banking(t)
	out, errs, status := w.pairmon(t, "drill", bankName, "--times", "3", "--seed", "7", "--json")
	require.Zero(t, status, errs)
	var d drill
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	require.Equal(t, bankName, d.Name)
	require.Equal(t, "SIGKILL", d.Method)
	require.EqualValues(t, 7, d.Seed)
	require.Len(t, d.Drills, 3)
	for i, one := range d.Drills {
		require.EqualValues(t, i+2, one.Epoch)
		require.NotEqual(t, one.PID, one.Primary)
		require.Equal(t, one.Phases["restored"], one.Unprotected)
		require.Positive(t, one.Phases["serving"])
		if i > 0 {
			require.Equal(t, d.Drills[i-1].Primary, one.PID, "the one who took over is next")
		}
	}
	require.Positive(t, d.Unprotected.Max)

	out, errs, status = w.pairmon(t, "drill", bankName, "--hang")
	require.Zero(t, status, errs)
	require.Regexp(t, `^DRILL +PRIMARY +THEN +EPOCH +NOTICED .* RESTORED +PROTECTED\n1 +\d+ +\d+ +5 `, out)
	require.Contains(t, out, "bank, SIGSTOP, seed ")

	out, errs, status = w.pairmon(t, "drill", bankName, "--switch")
	require.Zero(t, status, errs)
	require.Regexp(t, `^DRILL +PRIMARY +THEN +EPOCH +PROTECTED\n1 +\d+ +\d+ +6 `, out)
}

func TestADrillSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"drill"}, "drill wants the NAME of a pair", exitUsage},
		{[]string{"drill", bankName}, `cannot drill "bank": kill: no such pair`, exitFailed},
		{[]string{"drill", bankName, "--signal", "TERM"}, "that is pairmon stop", exitUsage},
		{[]string{"drill", bankName, "--signal", "FROWN"}, "there is none of that name", exitUsage},
		{[]string{"drill", bankName, "--times", "0"}, "--times 0: want 1 to", exitUsage},
		{[]string{"drill", bankName, "--within", "0s"}, "--within 0s: want more", exitUsage},
		{[]string{"drill", bankName, "--hang", "--switch"}, "none of the others can be", exitFailed},
	} {
		out, errs, status := w.pairmon(t, c.args...)
		require.Equal(t, c.status, status, "pairmon %q: %s", c.args, errs)
		require.Contains(t, errs, c.want)
		require.Empty(t, out)
	}
}

func TestHAMItselfIsDrilled(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	cache := h.runs("cache")
	require.Regexp(t, `(?m)^ham, SIGKILL, seed 3: protected again after `, h.does("drill", "ham", "--times", "2", "--seed", "3"))
	require.Equal(t, cache.PID, h.runs("cache").PID, "broken promise: what HAM watches notices nothing")
	require.EqualValues(t, 2, h.status().HAM.Failures)
}
