package tracked

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type profile struct {
	Name string
	Tags map[string]int // of random order when encoded
}

// A world is a Store with a part of each kind.
type world struct {
	*Store
	accounts *Map[string, int64]
	blobs    *Map[int16, []byte]
	profile  *Value[profile]
	hits     *Counter
	jobs     *Queue[string]
}

func newWorld() *world {
	s := NewStore()
	return &world{s, NewMap[string, int64](s, "accounts"), NewMap[int16, []byte](s, "blobs"),
		NewValue(s, "profile", profile{Name: "nobody"}), NewCounter(s, "hits"), NewQueue[string](s, "jobs")}
}

// newOtherVersion is the world of a newer program, which has another order and one more part.
func newOtherVersion() *world {
	s := NewStore()
	NewCounter(s, "new in this version")
	w := &world{Store: s}
	w.jobs = NewQueue[string](s, "jobs")
	w.hits = NewCounter(s, "hits")
	w.blobs = NewMap[int16, []byte](s, "blobs")
	w.accounts = NewMap[string, int64](s, "accounts")
	w.profile = NewValue(s, "profile", profile{Name: "nobody"})
	return w
}

// A model is what a world should hold, in the plainest form.
type model struct {
	accountKeys []string
	accounts    map[string]int64
	blobKeys    []int16
	blobs       map[int16][]byte
	profile     profile
	hits        int64
	jobs        []string
}

func newModel() *model {
	return &model{accounts: map[string]int64{}, blobs: map[int16][]byte{}, profile: profile{Name: "nobody"}}
}

func (m *model) clone() *model {
	c := *m
	c.accountKeys, c.accounts = slices.Clone(m.accountKeys), maps.Clone(m.accounts)
	c.blobKeys, c.blobs = slices.Clone(m.blobKeys), maps.Clone(m.blobs)
	c.jobs = slices.Clone(m.jobs)
	return &c
}

func setModel[K comparable, V any](keys *[]K, vals map[K]V, k K, v V) {
	if _, found := vals[k]; !found {
		*keys = append(*keys, k)
	}
	vals[k] = v
}

func deleteModel[K comparable, V any](keys *[]K, vals map[K]V, k K) bool {
	i := slices.Index(*keys, k)
	if i < 0 {
		return false
	}
	*keys = slices.Delete(*keys, i, i+1)
	delete(vals, k)
	return true
}

// mutate makes one random change to both, and compares what the change returned.
func mutate(t *rapid.T, w *world, m *model) {
	key := rapid.SampledFrom([]string{"ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ivy", "jon"})
	switch rapid.IntRange(0, 8).Draw(t, "change") {
	case 0, 1:
		k, v := key.Draw(t, "key"), rapid.Int64().Draw(t, "value")
		w.accounts.Set(k, v)
		setModel(&m.accountKeys, m.accounts, k, v)
	case 2:
		k := key.Draw(t, "key")
		require.Equal(t, deleteModel(&m.accountKeys, m.accounts, k), w.accounts.Delete(k))
	case 3:
		k, v := rapid.Int16Range(-9, 600).Draw(t, "key"), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
		w.blobs.Set(k, v)
		setModel(&m.blobKeys, m.blobs, k, v)
	case 4:
		k := rapid.Int16Range(-9, 600).Draw(t, "key")
		if len(m.blobKeys) > 0 && rapid.Bool().Draw(t, "present") {
			k = rapid.SampledFrom(m.blobKeys).Draw(t, "present key")
		}
		require.Equal(t, deleteModel(&m.blobKeys, m.blobs, k), w.blobs.Delete(k))
	case 5:
		p := profile{rapid.String().Draw(t, "name"), map[string]int{"a": rapid.Int().Draw(t, "tag"), "b": 2, "c": 3}}
		w.profile.Set(p)
		m.profile = p
	case 6:
		d := rapid.Int64().Draw(t, "delta")
		m.hits += d
		require.Equal(t, m.hits, w.hits.Add(d))
	case 7:
		for range rapid.IntRange(1, 300).Draw(t, "pushes") {
			w.jobs.Push(key.Example(len(m.jobs)))
			m.jobs = append(m.jobs, key.Example(len(m.jobs)))
		}
	case 8:
		for range rapid.IntRange(1, 400).Draw(t, "pops") {
			v, ok := w.jobs.Pop()
			require.Equal(t, len(m.jobs) > 0, ok)
			if !ok {
				break
			}
			require.Equal(t, m.jobs[0], v)
			m.jobs = m.jobs[1:]
		}
	}
}

// requireHolds compares every accessor of w with the model.
func requireHolds(t require.TestingT, m *model, w *world) {
	requireMap(t, m.accountKeys, m.accounts, w.accounts)
	requireMap(t, m.blobKeys, m.blobs, w.blobs)
	require.Equal(t, m.profile, w.profile.Get())
	require.Equal(t, m.hits, w.hits.Get())
	require.Equal(t, len(m.jobs), w.jobs.Len())
	first, ok := w.jobs.Peek()
	require.Equal(t, len(m.jobs) > 0, ok)
	if ok {
		require.Equal(t, m.jobs[0], first)
	}
	jobs := slices.Collect(w.jobs.All())
	require.True(t, slices.Equal(m.jobs, jobs), "jobs: want %v, got %v", m.jobs, jobs)
}

func requireMap[K comparable, V any](t require.TestingT, keys []K, vals map[K]V, m *Map[K, V]) {
	var got []K
	for k, v := range m.All() {
		got = append(got, k)
		require.Equal(t, vals[k], v, "value of %v in %s", k, m.name)
		require.Equal(t, v, m.Get(k))
	}
	require.True(t, slices.Equal(keys, got), "order of %s: want %v, got %v", m.name, keys, got)
	require.Equal(t, len(keys), m.Len())
}

// call runs a call with a few random changes and returns its changes, nil if it was rolled back.
func call(t *rapid.T, w *world, m **model) []byte {
	before := (*m).clone()
	w.Begin()
	for range rapid.IntRange(0, 6).Draw(t, "changes") {
		mutate(t, w, *m)
	}
	if rapid.IntRange(0, 3).Draw(t, "rolled back") == 0 {
		w.Rollback()
		*m = before
		require.Empty(t, w.Changes(), "a call that was rolled back has nothing to ship")
		return nil
	}
	changes := slices.Clone(w.Changes())
	w.Commit()
	return changes
}

// fillFrom walks all of w into a new Store and fails unless that ends equal.
func fillFrom(t require.TestingT, w *world) *world {
	other := newWorld()
	w.StartWalk()
	for w.Walking() {
		chunk, _, err := w.NextChunk(nil, 100)
		require.NoError(t, err)
		require.NoError(t, other.ApplyChunk(chunk))
	}
	require.Equal(t, w.Digest(), other.Digest(), "a filled Store must equal its source")
	return other
}

func (w *world) String() string { return fmt.Sprintf("world %x", w.Digest()) }
