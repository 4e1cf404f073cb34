package tracked

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// newOlder is the world of an older program, which knows two parts of five.
func newOlder() *world {
	s := NewStore()
	w := &world{Store: s, hits: NewCounter(s, "hits"), accounts: NewMap[string, int64](s, "accounts")}
	s.Freeze()
	return w
}

// fill hands the whole content of a Store to another, which must know it.
func fill(t require.TestingT, from, to *world) *world {
	require.NoError(t, to.Bind(from.Schema()))
	to.Freeze()
	to.Reset()
	from.StartWalk()
	for from.Walking() {
		chunk, _, err := from.NextChunk(nil, 40)
		require.NoError(t, err)
		require.NoError(t, to.ApplyChunk(chunk))
	}
	return to
}

// An older program follows a newer one, takes over from it, is the primary of its own kind, and gives way to the newer one
// again: what only the newer one knows comes back as it was.
func TestWhatAnOlderProgramDoesNotKnowComesThroughIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		newer, older, m := newWorld(), newOlder(), newModel()
		newer.Freeze()
		require.ErrorIs(t, older.Bind(newer.Schema()), ErrSchema, "who holds nothing yet must know everything")
		require.NoError(t, older.Follow(newer.Schema()))
		for range rapid.IntRange(0, 20).Draw(t, "calls") {
			require.NoError(t, older.Apply(call(t, newer, &m)))
		}
		require.Equal(t, newer.hits.Get(), older.hits.Get())
		require.Equal(t, newer.accounts.Len(), older.accounts.Len())

		require.NoError(t, older.Bind(nil)) // it is the primary now
		older.Begin()
		older.hits.Add(1)
		m.hits++
		older.Commit()
		second := fill(t, older, newOlder())
		require.NoError(t, older.Readable(newWorld().Schema()))
		require.NoError(t, older.Readable(newOlder().Schema()), "what is only kept can be kept by anybody")
		requireHolds(t, m, fill(t, older, newWorld()))
		requireHolds(t, m, fill(t, second, newWorld()))
		again := newWorld()
		again.Freeze()
		require.NoError(t, second.Follow(again.Schema()), "the newer one serves again")
	})
}

func TestReadableNamesEveryPartThatTheOtherProgramLacks(t *testing.T) {
	t.Parallel()
	theirs := NewStore()
	NewQueue[int](theirs, "accounts")
	NewMap[int16, []byte](theirs, "blobs")
	NewCounter(theirs, "new")
	w := newWorld()
	err := w.Readable(theirs.Schema())
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, `"accounts" is a Map here and a Queue there`)
	require.ErrorContains(t, err, `Counter "hits" is not known there`)
	require.NotContains(t, err.Error(), "blobs")
	require.NoError(t, w.Readable(w.Schema()))
	require.NoError(t, w.Readable(newOtherVersion().Schema()))
	require.ErrorIs(t, w.Readable([]byte{1, 200}), ErrCorrupt)
}

// What only the newer program knows, and nobody has set, begins there as declared.
func TestAKeptValueThatWasNeverSetIsNotHandedOn(t *testing.T) {
	t.Parallel()
	older := newOlder()
	require.NoError(t, older.Follow(newWorld().Schema()))
	require.Equal(t, profile{Name: "nobody"}, fill(t, older, newWorld()).profile.Get())
	older.Digest() // of a value that is not there: must not panic
	require.ErrorIs(t, older.Follow([]byte{7, 1, 'x'}), ErrSchema, "a kind of a program to come")
	require.ErrorIs(t, older.Follow([]byte{1, 0}), ErrCorrupt, "a part without a name")
	require.ErrorIs(t, older.Follow([]byte{1, 1, 'x', 1, 1, 'x'}), ErrCorrupt, "two of one name")
}

// FuzzFollow gives any schema and any changes to a Store that keeps what it does not know: it can hand on whatever it took.
func FuzzFollow(f *testing.F) {
	w := newWorld()
	w.Begin()
	w.accounts.Set("ada", 5)
	w.profile.Set(profile{Name: "ada"})
	w.jobs.Push("job")
	f.Add(w.Schema(), w.Changes())
	f.Fuzz(func(t *testing.T, schema, changes []byte) {
		older := newOlder()
		if older.Follow(schema) == nil {
			_ = older.Apply(changes)
		}
		_ = older.Bind(nil)
		fill(t, older, newOlder())
	})
}
