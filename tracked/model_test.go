package tracked

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestStoreBehavesAsPlainMapsAndSlices(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, m := newWorld(), newModel()
		for range rapid.IntRange(0, 20).Draw(t, "changes before Freeze") {
			mutate(t, w, m)
		}
		w.Freeze()
		requireHolds(t, m, w)
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			digest, committed := w.Digest(), m
			call(t, w, &m)
			requireHolds(t, m, w)
			if m != committed {
				require.Equal(t, digest, w.Digest(), "a call that was rolled back must leave no trace")
			}
		}
		fillFrom(t, w)
	})
}

// The backup is an older or newer program, and is filled while calls go on, in chunks from one element up. The fill may
// be given up and begun again.
func TestBackupFilledUnderTrafficEndsEqual(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, m := newWorld(), newModel()
		for range rapid.IntRange(0, 30).Draw(t, "changes before") {
			mutate(t, w, m)
		}
		w.Freeze()
		backup := newOtherVersion()
		require.NoError(t, backup.Bind(w.Schema()))
		backup.Freeze()
		equal := false // the fill is complete
		t.Repeat(map[string]func(*rapid.T){
			"call": func(t *rapid.T) {
				if changes := call(t, w, &m); equal || w.Walking() {
					require.NoError(t, backup.Apply(changes))
				}
			},
			"start a fill": func(t *rapid.T) {
				if (equal || w.Walking()) && rapid.IntRange(0, 9).Draw(t, "keep it") > 0 {
					t.Skip()
				}
				equal = false
				backup.Reset()
				w.StartWalk()
			},
			"give up the fill": func(t *rapid.T) {
				if !w.Walking() || rapid.IntRange(0, 5).Draw(t, "keep it") > 0 {
					t.Skip()
				}
				w.StopWalk()
			},
			"chunk": func(t *rapid.T) {
				if !w.Walking() {
					t.Skip()
				}
				max := rapid.SampledFrom([]int{0, 0, 20, 100, 4000}).Draw(t, "max")
				chunk, done, err := w.NextChunk([]byte("before"), max)
				require.NoError(t, err)
				require.Equal(t, "before", string(chunk[:6]))
				require.LessOrEqual(t, len(chunk)-6, max+128, "a chunk is at most max bytes and one element")
				require.NoError(t, backup.ApplyChunk(chunk[6:]))
				require.Equal(t, done, !w.Walking())
				equal = done
			},
			"": func(t *rapid.T) {
				requireHolds(t, m, w)
				if equal {
					requireHolds(t, m, backup)
				}
			},
		})
		for w.Walking() {
			chunk, done, err := w.NextChunk(nil, 50)
			require.NoError(t, err)
			require.NoError(t, backup.ApplyChunk(chunk))
			equal = done
		}
		if equal {
			requireHolds(t, m, backup)
		}
	})
}

func TestDeltasCarryEverythingOnceAndInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, m := newWorld(), newModel()
		for range rapid.IntRange(0, 30).Draw(t, "changes before") {
			mutate(t, w, m)
		}
		w.Freeze()
		lazy := fillFrom(t, w)
		lazy.TrackDirty(true)
		third := fillFrom(t, lazy)
		w.TrackDirty(true)
		require.Zero(t, w.DirtyCount())
		for range rapid.IntRange(1, 6).Draw(t, "deltas") {
			shipped := 0
			for range rapid.IntRange(0, 8).Draw(t, "calls") {
				shipped += len(call(t, w, &m))
			}
			dirty := w.DirtyCount()
			delta, err := w.AppendDelta([]byte("before"))
			require.NoError(t, err)
			require.Zero(t, w.DirtyCount(), "a delta leaves nothing for the next one")
			delta = delta[len("before"):]
			require.Equal(t, dirty == 0, len(delta) == 0)
			if shipped == 0 {
				require.Empty(t, delta, "nothing has changed")
			}
			require.NoError(t, lazy.Apply(delta))
			requireHolds(t, m, lazy)
			require.Equal(t, w.Digest(), lazy.Digest())

			// What Apply has changed can be passed on in the same way.
			passed, err := lazy.AppendDelta(nil)
			require.NoError(t, err)
			require.NoError(t, third.Apply(passed))
			require.Equal(t, w.Digest(), third.Digest())
		}
	})
}

func TestDigestTellsStatesApart(t *testing.T) {
	t.Parallel()
	digests := map[uint64]string{}
	for name, change := range map[string]func(*world){
		"nothing":     func(w *world) {},
		"a value":     func(w *world) { w.accounts.Set("ada", 1) },
		"other value": func(w *world) { w.accounts.Set("ada", 2) },
		"two":         func(w *world) { w.accounts.Set("ada", 1); w.accounts.Set("bob", 1) },
		"two turned":  func(w *world) { w.accounts.Set("bob", 1); w.accounts.Set("ada", 1) },
		"a job":       func(w *world) { w.jobs.Push("ada") },
		"a hit":       func(w *world) { w.hits.Add(1) },
		"a name":      func(w *world) { w.profile.Set(profile{Name: "ada"}) },
		"nil blob":    func(w *world) { w.blobs.Set(1, nil) },
		"empty blob":  func(w *world) { w.blobs.Set(1, []byte{}) },
	} {
		w := newWorld()
		change(w)
		require.NotContains(t, digests, w.Digest(), "%s has the digest of %s", name, digests[w.Digest()])
		digests[w.Digest()] = name
	}
}
