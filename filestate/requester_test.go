package filestate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/filestate"
	"github.com/1fb4ed1c/tandem/internal/codec"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// newLedger is a pair that counts how often it was asked what.
func newLedger() *pair.Service {
	svc := pair.New("ledger")
	entries := pair.Map[string, int](svc, "entries")
	pair.Handle(svc, "enter", func(_ *pair.Call, entry string) (int, error) {
		entries.Set(entry, entries.Get(entry)+1)
		return entries.Get(entry), nil
	})
	pair.Handle(svc, "count", func(_ *pair.Call, entry string) (int, error) { return entries.Get(entry), nil })
	return svc
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := codec.Append(nil, v)
	require.NoError(t, err)
	return b
}

// T5 of nonstop.md §12.4: three requests are under way when their requester dies; its backup repeats them.
func TestT5RequestsRepeatedByTheBackupOfTheirRequesterAreAppliedOnce(t *testing.T) {
	t.Parallel()
	ledger := pairtest.Start(t, "ledger")
	ctx := t.Context()
	opts := receive.RunDir(ledger.Dir())
	primary, err := filestate.OpenRequester(ctx, "ledger", opts)
	require.NoError(t, err)
	names := map[uint64]string{}
	for _, name := range []string{"a", "b", "c"} {
		id, err := primary.Plan(ctx, "enter", encoded(t, name))
		require.NoError(t, err)
		names[id] = name
	}
	var checkpoint receive.State
	require.NoError(t, codec.Decode(encoded(t, primary.State()), &checkpoint))
	backup := filestate.BackupOpenRequester(checkpoint, opts)
	for id := range names {
		if names[id] != "c" { // it dies before the third
			_, err := primary.Do(ctx, id)
			require.NoError(t, err)
		}
	}

	require.NoError(t, backup.SetState(checkpoint))
	for id, name := range names { // in any order
		reply, err := backup.Do(ctx, id)
		require.NoError(t, err)
		require.Equal(t, encoded(t, 1), reply, "the reply to %s is the first one", name)
	}
	id, err := backup.Plan(ctx, "enter", encoded(t, "a"))
	require.NoError(t, err)
	reply, err := backup.Do(ctx, id)
	require.NoError(t, err)
	require.Equal(t, encoded(t, 2), reply, "a new request is another one")

	id, err = backup.Plan(ctx, "enter", encoded(t, "b"))
	require.NoError(t, err)
	require.NoError(t, backup.Undo(ctx, id))
	_, err = backup.Do(ctx, id)
	require.ErrorIs(t, err, receive.ErrInvalidOperation)
	require.ErrorIs(t, backup.SetState(checkpoint), filestate.ErrNotThis)
	require.NoError(t, backup.Close())
	require.NoError(t, primary.Close())

	c := ledger.Dial()
	for name, want := range map[string]int{"a": 2, "b": 1, "c": 1} {
		n, err := receive.Call[int](ctx, c, "count", name)
		require.NoError(t, err)
		require.Equal(t, want, n, name)
	}
}
