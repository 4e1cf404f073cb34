package tracked

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChangesOutsideAHandlerPanic(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.accounts.Set("ada", 1) // initial state is set before the service runs
	w.Freeze()
	for part, change := range map[string]func(){
		"accounts": func() { w.accounts.Set("ada", 2) },
		"blobs":    func() { w.blobs.Delete(1) },
		"profile":  func() { w.profile.Set(profile{}) },
		"hits":     func() { w.hits.Add(1) },
		"jobs":     func() { w.jobs.Push("x") },
	} {
		require.PanicsWithValue(t, "cannot change "+part+" outside a handler", change)
	}
	require.Equal(t, int64(1), w.accounts.Get("ada"))
}

func TestRegistrationRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	type sealed struct{ balance int64 }
	s := NewStore()
	NewCounter(s, "hits")
	for want, register := range map[string]func(){
		`cannot track "hits": the name is taken`:                           func() { NewQueue[int](s, "hits") },
		`cannot track "": it has no name`:                                  func() { NewCounter(s, "") },
		`cannot track "m": a key that holds a ptr does not equal its copy`: func() { NewMap[time.Time, int](s, "m") },
		`cannot track "i": a key that holds a interface does not equal its copy`: func() {
			NewMap[[2]struct{ Any any }, int](s, "i")
		},
		"cannot track \"v\": tracked.sealed.balance is not exported and would be lost; if that is meant, tag it `msgpack:\"-\"`": func() {
			NewValue(s, "v", []sealed{{balance: 1}})
		},
		`cannot track "q": chan int is a chan, which has no encoding`: func() { NewQueue[chan int](s, "q") },
	} {
		require.PanicsWithValue(t, want, register)
	}
	NewMap[netip.AddrPort, string](s, "peers")
	s.Begin()
	require.PanicsWithValue(t, `cannot track "late": the service is already running`, func() { NewCounter(s, "late") })
}

func TestCallsDoNotNest(t *testing.T) {
	t.Parallel()
	s := newWorld()
	s.Rollback() // may be deferred
	require.Panics(t, s.Commit)
	s.Begin()
	require.Panics(t, s.Begin)
	require.Panics(t, s.StartWalk)
	require.Panics(t, s.Reset)
	require.Panics(t, func() { s.TrackDirty(true) })
	require.ErrorIs(t, s.Apply([]byte{1}), ErrBusy)
	s.Commit()
	s.Rollback()
	s.StartWalk()
	s.Begin()
	_, _, err := s.NextChunk(nil, 10)
	require.ErrorIs(t, err, ErrBusy)
	require.Panics(t, s.StopWalk)
	s.Commit()
	_, err = s.AppendDelta(nil)
	require.ErrorIs(t, err, ErrBusy)
}

func TestMapMayBeChangedWhileIterating(t *testing.T) {
	t.Parallel()
	for _, frozen := range []bool{false, true} {
		w := newWorld()
		if frozen {
			w.Begin()
		}
		for i := range 10 {
			w.accounts.Set(fmt.Sprint(i), int64(i))
		}
		var seen []int64
		for k, v := range w.accounts.All() {
			seen = append(seen, v)
			w.accounts.Delete(k)
			w.accounts.Delete(fmt.Sprint(v + 1))
			if v == 4 {
				w.accounts.Set("late", 100)
			}
		}
		require.Equal(t, []int64{0, 2, 4, 6, 8, 100}, seen)
		require.Zero(t, w.accounts.Len())
		for range w.accounts.All() {
			require.Fail(t, "an empty map has no entries")
		}
		w.Freeze()
		require.Len(t, w.accounts.slots.pages, 1)
		if frozen {
			w.Commit()
			w.Begin()
		} else {
			w.Begin()
		}
		for i := range 11 {
			w.accounts.Set(fmt.Sprint(i), int64(i))
		}
		require.Equal(t, slot(12), w.accounts.slots.used, "the slots of deleted entries must be used again")
	}
}

func TestQueueMayBeChangedWhileIterating(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i := range 600 {
		w.jobs.Push(fmt.Sprint(i))
	}
	n := 0
	for v := range w.jobs.All() {
		if n++; n == 1 {
			for range 300 {
				w.jobs.Pop()
			}
			w.jobs.Push("last")
			continue
		}
		if n == 2 {
			require.Equal(t, "300", v)
		}
	}
	require.Equal(t, 1+300+1, n)
	require.Len(t, w.jobs.pages, 2, "pages that are no longer used must be dropped")
}

func TestKeyThatDoesNotEqualItselfIsRefused(t *testing.T) {
	t.Parallel()
	s := NewStore()
	m := NewMap[float64, int](s, "m")
	require.PanicsWithValue(t, "cannot set a key of m that does not equal itself: NaN", func() { m.Set(math.NaN(), 1) })
	_, found := m.Lookup(math.NaN())
	require.False(t, found)
	nan := []byte{0, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1, 1}
	require.ErrorIs(t, s.Apply(nan), ErrCorrupt)
	require.Zero(t, m.Len())
}

func TestValueThatCannotBeSentEndsTheHandlerAndCanBeUndone(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v, m, q := NewValue[any](s, "v", 1), NewMap[string, any](s, "m"), NewQueue[any](s, "q")
	m.Set("a", 1)
	digest := s.Digest()
	s.Begin()
	m.Set("b", 2)
	changes := slices.Clone(s.Changes())
	bad := make(chan int)
	for _, change := range []func(){func() { v.Set(bad) }, func() { m.Set("a", bad) }, func() { m.Set("c", bad) }, func() { q.Push(bad) }} {
		func() {
			defer func() {
				err, _ := recover().(error)
				require.ErrorContains(t, err, "cannot change")
			}()
			change()
		}()
		require.Equal(t, changes, s.Changes(), "what could not be encoded must not be shipped in part")
	}
	s.Rollback()
	require.Equal(t, digest, s.Digest())
}

func TestUnsendableInitialStateStopsTheWalkNotTheProgram(t *testing.T) {
	t.Parallel()
	for _, set := range []func(*Store){
		func(s *Store) { NewValue[any](s, "bad", make(chan int)) },
		func(s *Store) { NewMap[int, any](s, "bad").Set(1, make(chan int)) },
		func(s *Store) { NewQueue[any](s, "bad").Push(make(chan int)) },
	} {
		s := NewStore()
		set(s)
		s.StartWalk()
		out, done, err := s.NextChunk([]byte("before"), 100)
		require.ErrorContains(t, err, "cannot encode bad")
		require.False(t, done)
		require.Equal(t, "before", string(out))
	}
}

func TestBindNamesEveryPartThatDoesNotFit(t *testing.T) {
	t.Parallel()
	theirs := NewStore()
	NewCounter(theirs, "hits")
	NewQueue[int](theirs, "accounts")
	NewCounter(theirs, "unheard of")
	w := newWorld()
	err := w.Bind(theirs.Schema())
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, `"accounts" is a Queue there and a Map here`)
	require.ErrorContains(t, err, `Counter "unheard of" of the other member is not known here`)
	require.ErrorIs(t, w.Bind([]byte{1, 200}), ErrCorrupt)

	subset := NewStore()
	hits := NewCounter(subset, "hits")
	subset.Begin()
	hits.Set(7)
	require.Error(t, w.Apply(subset.Changes()), "a refused schema changes nothing: part 0 is a map")
	require.NoError(t, w.Bind(subset.Schema()))
	require.NoError(t, w.Apply(subset.Changes()))
	require.Equal(t, int64(7), w.hits.Get())
	require.NoError(t, w.Bind(nil))
	require.Error(t, w.Apply(subset.Changes()), "part 0 is a map again")
}

func TestChangesOfAnotherStateAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for reason, changes := range map[string][]byte{
		"no such part":         {5<<opBits | byte(opSet), 1},
		"no part":              {0xff},
		"push to a map":        {0<<opBits | byte(opPush), 1},
		"key that is not":      {0<<opBits | byte(opDelete), 0xa1, 'x'},
		"key without a value":  {0<<opBits | byte(opSet), 0xa1, 'x'},
		"no key":               {0<<opBits | byte(opSet)},
		"delete of a value":    {2<<opBits | byte(opDelete), 1},
		"text for a counter":   {3<<opBits | byte(opSet), 0xa1, 'x'},
		"pop of an empty one":  {4<<opBits | byte(opPop), 1},
		"pop without a number": {4<<opBits | byte(opPop)},
		"set of a queue":       {4<<opBits | byte(opSet), 1},
	} {
		require.ErrorIs(t, w.Apply(changes), ErrCorrupt, reason)
	}
	require.Equal(t, newWorld().Digest(), w.Digest())
}

func TestSetAndApplyAllocateNothingForAPresentKey(t *testing.T) {
	s, m := benchPair()
	other, _ := benchPair()
	s.TrackDirty(true)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Begin()
		m.Set("account-00007", 7)
		m.Set("account-00008", 8)
		if err := other.Apply(s.Changes()); err != nil {
			panic(err)
		}
		s.Commit()
	}))
}

func TestChunksAllocateNothing(t *testing.T) {
	s := NewStore()
	m := NewMap[int, []byte](s, "blobs")
	for i := range 10000 {
		m.Set(i, make([]byte, 100))
	}
	s.StartWalk()
	dst := make([]byte, 0, 10<<10)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, done, err := s.NextChunk(dst, 8<<10); done || err != nil {
			panic(errors.New("the walk must go on"))
		}
	}))
}

// A chunk may be larger than asked for only when a single element is.
func TestLargeElementsTravelAlone(t *testing.T) {
	t.Parallel()
	s := NewStore()
	m := NewMap[int, []byte](s, "blobs")
	for i, size := range []int{10, 5000, 10, 10} {
		m.Set(i, make([]byte, size))
	}
	s.StartWalk()
	var sizes []int
	for s.Walking() {
		chunk, _, err := s.NextChunk(nil, 100)
		require.NoError(t, err)
		sizes = append(sizes, len(chunk))
	}
	require.Equal(t, []int{14, 5005, 28}, sizes)
}

// The walk remembers the entry it has sent last; that one may be deleted, and its slot used again, before the next chunk.
func TestWalkGoesOnWhereItWasWhenThatEntryIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i := range 6 {
		w.accounts.Set(fmt.Sprint(i), int64(i))
	}
	backup := newWorld()
	step := func(change func()) {
		w.Begin()
		change()
		require.NoError(t, backup.Apply(w.Changes()))
		w.Commit()
	}
	next := func(max int) {
		chunk, _, err := w.NextChunk(nil, max)
		require.NoError(t, err)
		require.NoError(t, backup.ApplyChunk(chunk))
	}
	w.StartWalk()
	next(0)
	next(0)
	next(0)
	step(func() { w.accounts.Set("2", 22) }) // just sent: must be shipped
	step(func() { w.accounts.Delete("2"); w.accounts.Delete("1") })
	step(func() { w.accounts.Set("new", 7); w.accounts.Set("2", 8) })
	w.Begin()
	w.accounts.Delete("0")
	w.Rollback()
	for w.Walking() {
		next(0)
	}
	var order []string
	for k := range backup.accounts.All() {
		order = append(order, k)
	}
	require.Equal(t, []string{"0", "3", "4", "5", "new", "2"}, order)
	require.Equal(t, w.Digest(), backup.Digest())
}

func TestChangesToWhatTheWalkHasNotReachedAreNotShipped(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.accounts.Set("ada", 1)
	w.StartWalk()
	w.Begin()
	w.accounts.Set("ada", 2)
	w.accounts.Set("bob", 2)
	w.accounts.Delete("ada")
	w.profile.Set(profile{})
	w.hits.Add(1)
	w.jobs.Push("job")
	w.jobs.Pop()
	require.Empty(t, w.Changes())
	w.Commit()
	fillFrom(t, w)
}

// What a call has replaced, deleted, popped or undone must be free for the collector.
func TestNothingOldStaysAlive(t *testing.T) {
	t.Parallel()
	w := newWorld()
	change := func() {
		w.blobs.Set(1, []byte("other"))
		w.blobs.Set(2, []byte("new"))
		w.blobs.Delete(1)
		w.blobs.Delete(2)
		w.profile.Set(profile{Name: "other"})
		w.jobs.Push("other")
		w.jobs.Pop()
		w.jobs.Pop()
	}
	w.blobs.Set(1, []byte("first"))
	w.jobs.Push("first")
	for _, end := range []func(){w.Rollback, w.Commit} {
		w.Begin()
		change()
		end()
		for _, u := range w.blobs.undo[:cap(w.blobs.undo)] {
			require.Nil(t, u.val)
		}
		require.Zero(t, w.profile.old)
		live := 0
		for i, e := range w.blobs.slots.pages[0] {
			if e.val != nil || e.key != 0 {
				require.Equal(t, "first", string(e.val), "slot %d", i)
				live++
			}
		}
		require.Equal(t, w.blobs.Len(), live)
		for i, job := range w.jobs.pages[0] {
			require.Equal(t, i == 0 && w.jobs.Len() == 1, job != "", "element %d", i)
		}
	}
}
