package keyspace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/tracked"
)

// member is the Keyspace of one member of a pair.
type member struct {
	*Keyspace
	store *tracked.Store
	now   int64 // milliseconds
}

func newMember() *member {
	s := tracked.NewStore()
	return &member{store: s, Keyspace: Open(State{
		Keys: tracked.NewMap[string, Entry](s, "keys"), Elements: tracked.NewMap[string, string](s, "elements"),
		Spaces: tracked.NewMap[uint64, uint64](s, "spaces"), IDs: tracked.NewCounter(s, "ids"),
		Trash: tracked.NewQueue[uint64](s, "trash"), Watches: tracked.NewMap[string, bool](s, "watches"),
	})}
}

// call runs a call and returns its changes.
func (m *member) call(f func(DB)) []byte {
	m.store.Begin()
	m.Begin(time.UnixMilli(m.now))
	f(m.DB(0))
	changes := slices.Clone(m.store.Changes())
	m.store.Commit()
	return changes
}

// indexes writes all derived indexes out.
func (m *member) indexes() string {
	var b strings.Builder
	for n, id := range m.current {
		fmt.Fprintln(&b, "db", n, "is", id)
	}
	ids := []uint64{}
	for id := range m.spaces {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		fmt.Fprintln(&b, "space", id, "expiring", m.spaces[id].expiring, m.spaces[id].tree.Items())
	}
	ids = ids[:0]
	for id := range m.bags {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		fmt.Fprintln(&b, "elements of", id)
		switch x := m.bags[id].(type) {
		case *listBag:
			fmt.Fprintln(&b, x.tree.Keys(), x.tree.Values())
		case *nameBag:
			fmt.Fprintln(&b, x.tree.Items())
		case *scoreBag:
			fmt.Fprintln(&b, x.tree.Items())
		}
	}
	fmt.Fprintln(&b, "deadlines", m.deadlines.Items())
	fmt.Fprintln(&b, "watches", m.watches.byConnection.Keys(), m.watches.byKey.Items())
	return b.String()
}

// fill makes other hold what m holds.
func (m *member) fill(t require.TestingT, other *member) {
	other.store.Reset()
	m.store.StartWalk()
	for m.store.Walking() {
		chunk, _, err := m.store.NextChunk(nil, 100)
		require.NoError(t, err)
		require.NoError(t, other.store.ApplyChunk(chunk))
	}
	other.now = m.now
}

// change makes one random change.
func change(t *rapid.T, m *member) {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	element := rapid.StringOfN(rapid.RuneFrom([]rune("xyz")), 0, 2, -1)
	d := m.DB(rapid.IntRange(0, 1).Draw(t, "db"))
	k, e := []byte(name.Draw(t, "key")), []byte(element.Draw(t, "element"))
	switch rapid.IntRange(0, 15).Draw(t, "change") {
	case 0:
		SetString(d, k, d.Find(k), m.now+rapid.Int64Range(-1, 50).Draw(t, "for")*2, e)
	case 1:
		if old := d.Find(k); old != "" {
			d.SetExpire(k, old, m.now+rapid.Int64Range(0, 50).Draw(t, "for"))
		}
	case 2, 3:
		if l, err := d.List(k); err == nil {
			l.Push(rapid.Bool().Draw(t, "head"), string(e))
		}
	case 4:
		if l, err := d.List(k); err == nil {
			l.Pop(rapid.Bool().Draw(t, "head"))
		}
	case 5:
		if l, err := d.List(k); err == nil && l.Len() > 0 {
			l.Insert(rapid.IntRange(0, l.Len()).Draw(t, "at"), string(e))
			l.RemoveValue(string(e), rapid.IntRange(0, 2).Draw(t, "most"), true)
		}
	case 6, 7:
		if s, err := d.Set(k); err == nil {
			s.Add(e)
		}
	case 8:
		if s, err := d.Set(k); err == nil {
			s.Remove(e)
		}
	case 9:
		if h, err := d.Hash(k); err == nil {
			h.Put(e, element.Draw(t, "value"))
		}
	case 10, 11:
		if z, err := d.ZSet(k); err == nil {
			z.Put(e, rapid.Float64().Draw(t, "score"))
		}
	case 12:
		d.Delete(k)
	case 13:
		if other := []byte(name.Draw(t, "other")); d.Find(k) != "" && string(other) != string(k) {
			d.Rename(k, other)
			d.Copy(other, d, k)
		}
	case 14:
		d.Flush()
	case 15:
		d.Watch(rapid.Uint64Range(1, 3).Draw(t, "connection"), k)
		m.Unwatch(rapid.Uint64Range(1, 3).Draw(t, "other connection"))
	}
}

func TestTheIndexesFollowWhateverHappensToTheState(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, backup := newMember(), newMember()
		m.now = 1 << 40
		m.store.Freeze()
		backup.store.Freeze()
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			m.now += rapid.Int64Range(0, 20).Draw(t, "later")
			m.store.Begin()
			m.Begin(time.UnixMilli(m.now))
			before := m.indexes()
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				change(t, m)
			}
			if rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
				m.store.Rollback()
				require.Equal(t, before, m.indexes(), "a call that was rolled back leaves no trace in the indexes")
				continue
			}
			if rapid.IntRange(0, 3).Draw(t, "sweep") == 0 {
				m.Sweep(time.UnixMilli(m.now))
			}
			changes := slices.Clone(m.store.Changes())
			m.store.Commit()
			require.NoError(t, backup.store.Apply(changes))
			require.Equal(t, m.indexes(), backup.indexes(), "the members have the same indexes")
		}
		fresh := newMember()
		fresh.store.Freeze()
		m.fill(t, fresh)
		require.Equal(t, fresh.indexes(), m.indexes(), "indexes kept by observing are those made from scratch")
		m.fill(t, backup)
		require.Equal(t, fresh.indexes(), backup.indexes(), "a member that is filled anew forgets what it had")
	})
}

func TestAListIsASequenceWhereverElementsAreInserted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMember()
		var want []string
		hot := rapid.Float64Range(0, 1).Draw(t, "where most go")
		m.call(func(d DB) {
			l, err := d.List([]byte("l"))
			require.NoError(t, err)
			for i := range rapid.IntRange(1, 300).Draw(t, "insertions") {
				at := int(hot * float64(len(want)))
				if i%16 == 0 {
					at = rapid.IntRange(0, len(want)).Draw(t, "at")
				}
				v := fmt.Sprint(i)
				l.Insert(at, v)
				want = slices.Insert(want, at, v)
			}
			got := []string{}
			l.Range(0, l.Len(), func(v string) bool {
				got = append(got, v)
				return true
			})
			require.Equal(t, want, got)
			require.Equal(t, want[len(want)/2], l.At(len(want)/2))
		})
	})
}

func TestInsertingAtOnePlaceMovesFewOthers(t *testing.T) {
	t.Parallel()
	m := newMember()
	m.call(func(d DB) {
		l, _ := d.List([]byte("l"))
		for i := range 1000 {
			l.Push(false, fmt.Sprint(i))
		}
	})
	total := 0
	for range 2000 {
		total += len(m.call(func(d DB) {
			l, _ := d.List([]byte("l"))
			l.Insert(500, "x")
		}))
	}
	require.Less(t, total/2000, 200, "bytes shipped for one insertion, on average")
}

// A name that is there from the first to the last step of a scan is returned, whatever happens to others meanwhile.
func TestAScanSeesEverythingThatStays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMember()
		keys := rapid.SliceOfNDistinct(rapid.StringN(1, 3, -1), 1, 300, rapid.ID[string]).Draw(t, "keys")
		m.call(func(d DB) {
			for _, k := range keys {
				SetString(d, []byte(k), "", 0, "v")
				z, _ := d.ZSet([]byte("\xffz"))
				z.Put([]byte(k), float64(len(k)))
			}
		})
		stay := keys[:len(keys)/2]
		seenKeys, seenMembers := map[string]bool{}, map[string]bool{}
		var at, in uint64
		for step := 0; step == 0 || at != 0 || in != 0; step++ {
			require.Less(t, step, 1000, "a scan ends")
			m.call(func(d DB) {
				z, _ := d.ZSet([]byte("\xffz"))
				if step == 0 || at != 0 {
					at = d.Scan(at, 10, func(k string) { seenKeys[k] = true })
				}
				if step == 0 || in != 0 {
					in = z.Scan(in, 10, func(k string) { seenMembers[k] = true })
				}
				gone := keys[len(stay)+rapid.IntRange(0, len(keys)-len(stay)-1).Draw(t, "gone")]
				d.Delete([]byte(gone))
				z.Remove([]byte(gone))
				SetString(d, fmt.Append(nil, "new", step), "", 0, "v")
			})
		}
		for _, k := range stay {
			require.True(t, seenKeys[k], "key %q stayed", k)
			require.True(t, seenMembers[k], "member %q stayed", k)
		}
	})
}

// sweepAll sweeps until nothing is due, and returns how many calls and the most bytes that one shipped.
func (m *member) sweepAll(t *testing.T) (calls, most int) {
	for m.Due() != 0 && m.Due() <= m.now+sweepPause {
		m.now = m.Due()
		most = max(most, len(m.call(func(DB) { m.Sweep(time.UnixMilli(m.now)) })))
		calls++
		require.Less(t, calls, 10000)
	}
	return calls, most
}

func TestNothingLargeIsRemovedAtOnce(t *testing.T) {
	t.Parallel()
	m := newMember()
	m.now = 1 << 40
	const n = 20000
	fill := func() {
		m.call(func(d DB) {
			for i := range n {
				s, _ := d.Set([]byte("s"))
				s.Add(fmt.Append(nil, i))
				SetString(d, fmt.Append(nil, i), "", m.now+10, "v")
			}
		})
	}
	fill()
	require.Less(t, len(m.call(func(d DB) { d.Delete([]byte("s")) })), 100, "deleting a large set ships nothing large")
	require.Less(t, len(m.call(func(d DB) { d.Flush() })), 100, "nor does flushing a database")
	calls, most := m.sweepAll(t)
	require.Greater(t, calls, 2*n/sweepSteps)
	require.Less(t, most, 10*sweepSteps)
	require.Zero(t, m.Elements.Len()+m.Keys.Len()+m.Trash.Len(), "the sweeps remove everything in the end")

	fill()
	m.now += 11
	m.sweepAll(t)
	require.Equal(t, 1, m.Keys.Len(), "keys that have expired go without being asked for")
	require.True(t, m.Stirred())
	require.False(t, m.Stirred())
}

func TestOneCallRemovesNotMoreThanItMay(t *testing.T) {
	t.Parallel()
	m := newMember()
	const sets, each = 100, smallCollection
	m.call(func(d DB) {
		for i := range sets {
			for j := range each {
				s, _ := d.Set(fmt.Append(nil, i))
				s.Add(fmt.Append(nil, j))
			}
		}
	})
	m.call(func(d DB) {
		for i := range sets {
			d.Delete(fmt.Append(nil, i))
		}
	})
	require.Equal(t, sets*each-removedAtOnce, m.Elements.Len())
	require.Equal(t, sets-removedAtOnce/each, m.Trash.Len())
}

func TestRandomKeysDependOnTheContentOnly(t *testing.T) {
	t.Parallel()
	m, other := newMember(), newMember()
	m.call(func(d DB) {
		for i := range 100 {
			SetString(d, fmt.Append(nil, i), "", 0, "v")
		}
		for i := range 50 {
			d.Delete(fmt.Append(nil, i))
		}
	})
	other.call(func(d DB) {
		for i := 99; i >= 50; i-- {
			SetString(d, fmt.Append(nil, i), "", 0, "v")
		}
	})
	for seed := range uint64(100) {
		a, _ := m.DB(0).Random(rand.New(rand.NewPCG(seed, 0)))
		b, _ := other.DB(0).Random(rand.New(rand.NewPCG(seed, 0)))
		require.Equal(t, a, b)
	}
	_, ok := m.DB(1).Random(nil)
	require.False(t, ok)
}
