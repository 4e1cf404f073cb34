package tracked

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// seeds adds real changes, a chunk, a schema, and numbers that are too large.
func seeds(f *testing.F) {
	w := newWorld()
	w.Begin()
	w.accounts.Set("ada", 5)
	w.accounts.Set("bob", -5)
	w.accounts.Delete("ada")
	w.blobs.Set(1, []byte("blob"))
	w.profile.Set(profile{"ada", map[string]int{"a": 1}})
	w.hits.Add(1 << 40)
	w.jobs.Push("job")
	w.jobs.Push("job")
	w.jobs.Pop()
	f.Add(w.Changes())
	w.Commit()
	w.StartWalk()
	chunk, _, err := w.NextChunk(nil, 1<<10)
	require.NoError(f, err)
	f.Add(chunk)
	f.Add(w.Schema())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{4<<opBits | byte(opPop), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
}

func FuzzApply(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld()
		_ = w.Apply(b)
		fillFrom(t, w) // whatever was accepted is a state like any other
	})
}

func FuzzApplyChunk(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld()
		w.accounts.Set("ada", 1)
		w.TrackDirty(true)
		before := fillFrom(t, w)
		_ = w.ApplyChunk(b)
		delta, err := w.AppendDelta(nil)
		require.NoError(t, err)
		require.NoError(t, before.Apply(delta))
		require.Equal(t, w.Digest(), before.Digest(), "the delta must carry what the chunk has changed")
	})
}

func FuzzBind(f *testing.F) {
	seeds(f)
	changes := []byte{0<<opBits | byte(opSet), 1, 1<<opBits | byte(opSet), 2}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld()
		if w.Bind(b) == nil {
			_ = w.Apply(changes)
		}
		fillFrom(t, w)
	})
}
