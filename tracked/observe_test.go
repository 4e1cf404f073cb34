package tracked

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A tally is an index kept by observing: how many accounts have each amount, and a plain copy of the map. It fails when it
// is told something that does not fit what it was told before.
type tally struct {
	t      require.TestingT
	copy   map[string]int64
	having map[int64]int
	resets int
}

func observe(t require.TestingT, m *Map[string, int64]) *tally {
	x := &tally{t: t}
	x.empty()
	m.Observe(func(k string, old, new int64, had, has bool) {
		require.True(t, had || has, "a change is something")
		v, found := x.copy[k]
		require.Equal(t, found, had, "whether %s was there", k)
		require.Equal(t, v, old, "what %s was", k)
		now, there := m.Lookup(k)
		require.Equal(t, there, has, "the change has been made when it is told")
		require.Equal(t, now, new)
		if had {
			delete(x.copy, k)
			if x.having[old]--; x.having[old] == 0 {
				delete(x.having, old)
			}
		}
		if has {
			x.copy[k] = new
			x.having[new]++
		}
	}, func() {
		require.Zero(t, m.Len())
		x.empty()
		x.resets++
	})
	return x
}

func (x *tally) empty() { x.copy, x.having = map[string]int64{}, map[int64]int{} }

// requireFromScratch compares the index with one that is made from the whole map.
func (x *tally) requireFromScratch(t require.TestingT, m *Map[string, int64]) {
	having := map[int64]int{}
	for _, v := range m.All() {
		having[v]++
	}
	require.Equal(t, having, x.having, "an index kept by observing equals one made from scratch")
	require.Equal(t, maps.Collect(m.All()), x.copy)
}

func TestAnObserverKeepsAnIndexThroughWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, m := newWorld(), newModel()
		for range rapid.IntRange(0, 20).Draw(t, "changes before it observes") {
			mutate(t, w, m)
		}
		here := observe(t, w.accounts)
		for range rapid.IntRange(0, 20).Draw(t, "changes before Freeze") {
			mutate(t, w, m)
		}
		w.Freeze()
		backup := newOtherVersion()
		there := observe(t, backup.accounts)
		require.NoError(t, backup.Bind(w.Schema()))
		filled, deltas := false, false
		t.Repeat(map[string]func(*rapid.T){
			"call": func(t *rapid.T) {
				if changes := call(t, w, &m); (filled || w.Walking()) && !deltas {
					require.NoError(t, backup.Apply(changes))
				}
			},
			"start a fill": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "leave it") > 0 {
					t.Skip()
				}
				backup.Reset()
				w.StartWalk()
				filled, deltas = false, false
			},
			"chunk": func(t *rapid.T) {
				if !w.Walking() {
					t.Skip()
				}
				chunk, done, err := w.NextChunk(nil, 30)
				require.NoError(t, err)
				require.NoError(t, backup.ApplyChunk(chunk))
				filled = done
			},
			"send deltas from now on": func(t *rapid.T) {
				if !filled || deltas {
					t.Skip()
				}
				w.TrackDirty(true)
				deltas = true
			},
			"delta": func(t *rapid.T) {
				if !deltas {
					t.Skip()
				}
				delta, err := w.AppendDelta(nil)
				require.NoError(t, err)
				require.NoError(t, backup.Apply(delta))
				require.Equal(t, here.having, there.having, "the members have the same index")
			},
			"": func(t *rapid.T) {
				here.requireFromScratch(t, w.accounts)
				there.requireFromScratch(t, backup.accounts)
			},
		})
		w.Reset()
		require.Equal(t, 1, here.resets)
		here.requireFromScratch(t, w.accounts)
	})
}

func TestAMapIsObservedOnceAndInTime(t *testing.T) {
	t.Parallel()
	w := newWorld()
	observe(t, w.accounts)
	again := func() { observe(t, w.accounts) }
	require.PanicsWithValue(t, "cannot observe accounts: the service is already running, or somebody observes it", again)
	w.Freeze()
	late := func() { w.blobs.Observe(func(int16, []byte, []byte, bool, bool) {}, func() {}) }
	require.PanicsWithValue(t, "cannot observe blobs: the service is already running, or somebody observes it", late)
}

func TestWhatIsToldOfAKeyMayBeKept(t *testing.T) {
	t.Parallel()
	w, other := newWorld(), newWorld()
	var kept []string
	other.accounts.Observe(func(k string, _, _ int64, _, _ bool) { kept = append(kept, k) }, func() {})
	w.Begin()
	w.accounts.Set("ada", 1)
	w.accounts.Set("ada", 2)
	w.accounts.Delete("ada")
	changes := w.Changes()
	require.NoError(t, other.Apply(changes))
	clear(changes) // the bytes that the keys were read from
	require.Equal(t, []string{"ada", "ada", "ada"}, kept)
}
