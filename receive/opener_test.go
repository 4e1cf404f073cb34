package receive

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func open(t require.TestingT, table *Openers, who Identity) *Opener {
	o, err := table.Open(who)
	require.NoError(t, err)
	return o
}

// runs decides, and runs what is new; it returns the reply or the verdict.
func runs(o *Opener, id, low uint64) string {
	v := o.Decide(id, low)
	switch v {
	case Run:
		o.Begin(id)
		reply := fmt.Sprintf("ran %d", id)
		o.Save(id, int64(id), []byte(reply))
		return reply
	case Saved:
		_, reply, _ := o.Saved(id)
		return "saved: " + string(reply)
	}
	return v.String()
}

func TestDepthOneIsTheComparisonOfTwoCounters(t *testing.T) {
	t.Parallel()
	var table Openers
	o := open(t, &table, Identity{Depth: 1})
	require.Equal(t, "ran 1", runs(o, 1, 1))
	require.Equal(t, "saved: ran 1", runs(o, 1, 1))
	require.Equal(t, "ran 2", runs(o, 2, 2))
	require.Equal(t, "saved: ran 2", runs(o, 2, 2))
	require.Equal(t, "too old", runs(o, 1, 1))
	require.Equal(t, "ran 5", runs(o, 5, 5), "IDs given to cancelled requests leave gaps")
	require.Equal(t, "too old", runs(o, 4, 4), "an ID below the last one is never run, saved or not")
}

// T3: three writes between two checkpoints, a failure after 0, 1, 2 and 3 of them.
func TestDepthThreeAnswersWhatWasDoneFromItsSavedReplies(t *testing.T) {
	t.Parallel()
	for done := uint64(0); done <= 3; done++ {
		var table Openers
		o := open(t, &table, Identity{Depth: 3})
		for id := uint64(1); id <= done; id++ {
			runs(o, id, 1)
		}
		for id := uint64(1); id <= 3; id++ {
			want := fmt.Sprintf("ran %d", id)
			if id <= done {
				want = "saved: " + want
			}
			require.Equal(t, want, runs(o, id, 1), "%d of 3 were done", done)
		}
	}
}

// T4: the fourth write without a checkpoint breaks the contract.
func TestAFourthRequestAtDepthThreeMakesTheFirstTooOldNotDone(t *testing.T) {
	t.Parallel()
	var table Openers
	o := open(t, &table, Identity{Depth: 3})
	for id := uint64(1); id <= 4; id++ {
		runs(o, id, 1)
	}
	require.Equal(t, TooOld, o.Decide(1, 1))
	require.Equal(t, Saved, o.Decide(2, 1))
}

func TestARunningRequestIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	var table Openers
	o := open(t, &table, Identity{Depth: 4})
	require.Equal(t, Run, o.Decide(1, 1))
	o.Begin(1)
	require.Equal(t, Running, o.Decide(1, 1))
	o.Drop(1)
	require.Equal(t, Run, o.Decide(1, 1), "it ended without a result")
	o.Begin(1)
	o.DropRunning()
	require.Equal(t, Run, o.Decide(1, 1), "the primary that ran it is gone")
	o.Begin(1)
	o.Save(1, -7, []byte("x"))
	o.Drop(1)
	code, reply, ok := o.Saved(1)
	require.True(t, ok, "what is saved is not dropped")
	require.Equal(t, int64(-7), code)
	require.Equal(t, "x", string(reply))
}

func TestTheRequestersWordClosesTheGapsBelowIt(t *testing.T) {
	t.Parallel()
	var table Openers
	o := open(t, &table, Identity{Depth: 8})
	require.Equal(t, "ran 3", runs(o, 3, 1))
	require.Equal(t, Run, o.Decide(2, 1), "requests under way together may come in any order")
	require.Equal(t, "ran 4", runs(o, 4, 3))
	require.Equal(t, TooOld, o.Decide(2, 2), "the requester gave it up")
	require.Equal(t, Run, o.Decide(5, math.MaxUint64), "no request is below the requester's own")
	require.Equal(t, TooOld, o.Decide(0, 0))
}

func TestDepthZeroKeepsNoReplyAndRunsNothingTwice(t *testing.T) {
	t.Parallel()
	var table Openers
	o := open(t, &table, Identity{Window: 2})
	require.Equal(t, "ran 1", runs(o, 1, 1))
	require.Equal(t, "too old", runs(o, 1, 1))
	_, _, ok := o.Saved(1)
	require.False(t, ok)
	require.Equal(t, "ran 2", runs(o, 2, 1))
}

func TestResetSyncStartsOver(t *testing.T) {
	t.Parallel()
	var table Openers
	o := open(t, &table, Identity{Depth: 2})
	runs(o, 1, 1)
	runs(o, 9, 9)
	o.Reset()
	require.Equal(t, "ran 1", runs(o, 1, 1))
	require.Equal(t, "ran 2", runs(o, 2, 2))
}

func TestSavingAllocatesNothingInSteadyState(t *testing.T) { // not parallel: it counts allocations
	var table Openers
	o := open(t, &table, Identity{Depth: 4})
	reply := make([]byte, 100)
	id := uint64(0)
	next := func() { id++; o.Begin(id); o.Save(id, 0, reply) }
	for range 4 {
		next()
	}
	require.Zero(t, testing.AllocsPerRun(100, next))
	o.Save(id+1, 0, make([]byte, 100<<10))
	o.Save(id+5, 0, reply)
	require.Less(t, cap(o.slot(id+5).reply), 100<<10, "one large reply must not hold its memory for ever")
}

// TestNothingRunsTwiceWhateverComesInWhateverOrder checks an opener against the
// plain statement of its promise, with takeovers, late and repeated requests.
func TestNothingRunsTwiceWhateverComesInWhateverOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.IntRange(0, 5).Draw(t, "depth")
		var table Openers
		o := open(t, &table, Identity{Depth: depth, Window: rapid.IntRange(0, 5).Draw(t, "window"), Cookie: 7, Name: "r"})
		backup := restored(t, o)
		replies := make(map[uint64]string)
		running := make(map[uint64]bool)
		low := uint64(1)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := low + rapid.Uint64Range(0, 12).Draw(t, "id") - min(low-1, 4)
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0: // takeover: what was running is lost, what was saved the backup knows
				o, running = backup, make(map[uint64]bool)
				backup = restored(t, o)
			case 1: // a running one ends without a result
				if running[id] {
					o.Drop(id)
					delete(running, id)
				}
			case 2:
				low += rapid.Uint64Range(0, 3).Draw(t, "answered")
			case 3, 4, 5: // a running one ends
				if running[id] {
					replies[id] = fmt.Sprintf("reply %d", id)
					o.Save(id, int64(id), []byte(replies[id]))
					backup.Save(id, int64(id), []byte(replies[id]))
					delete(running, id)
				}
			default:
				saved, done := replies[id]
				switch v := o.Decide(id, low); v {
				case Run:
					require.False(t, done || running[id], "exactly once is broken: request %d is to be run again", id)
					o.Begin(id)
					running[id] = true
				case Saved:
					code, reply, ok := o.Saved(id)
					require.True(t, ok)
					require.Equal(t, int64(id), code)
					require.Equal(t, saved, string(reply), "the reply to a repeated request must be the same")
				case Running:
					require.True(t, running[id], "request %d is not running", id)
				case TooOld:
				default:
					t.Fatalf("unexpected verdict %v", v)
				}
			}
		}
	})
}

// A requester that keeps to the contract always gets its reply.
func TestARequesterWithinItsDepthIsNeverTooOld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.IntRange(1, 6).Draw(t, "depth")
		var table Openers
		o := open(t, &table, Identity{Depth: depth})
		done := make(map[uint64]bool)
		low := uint64(1)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			id := low + rapid.Uint64Range(0, uint64(depth)-1).Draw(t, "id")
			if rapid.Bool().Draw(t, "takeover") {
				o = restored(t, o)
			}
			want := Run
			if done[id] {
				want = Saved
			}
			require.Equal(t, want, o.Decide(id, low), "request %d with low %d and depth %d", id, low, depth)
			if want == Run {
				o.Begin(id)
				o.Save(id, 0, nil)
				done[id] = true
			}
			for done[low] && rapid.Bool().Draw(t, "acknowledge") {
				low++
			}
		}
	})
}

func restored(t require.TestingT, o *Opener) *Opener {
	var table Openers
	r, err := table.Restore(o.AppendTo(nil))
	require.NoError(t, err)
	return r
}

func TestAnOpenerTravelsInPartsWhileItServes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.IntRange(1, 9).Draw(t, "depth")
		var table, backup Openers
		o := open(t, &table, Identity{Depth: depth, Cookie: 1, UID: 2, PID: 3, Name: "teller"})
		next := uint64(1)
		serve := func() {
			reply := bytes.Repeat([]byte{byte(next)}, rapid.IntRange(0, 50).Draw(t, "size"))
			o.Save(next, -int64(next), reply)
			if b := backup.Lookup(o.ID); b != nil { // before its first part the backup passes it over
				b.Save(next, -int64(next), reply)
			}
			next++
		}
		for range rapid.IntRange(0, 20).Draw(t, "before") {
			serve()
		}
		for slot, more := 0, true; more; more = slot != 0 {
			var part []byte
			part, slot = o.AppendPart(nil, slot, rapid.IntRange(1, 200).Draw(t, "part"))
			_, err := backup.Restore(part)
			require.NoError(t, err)
			for range rapid.IntRange(0, 2).Draw(t, "meanwhile") {
				serve()
			}
		}
		require.Equal(t, o.AppendTo(nil), backup.Lookup(o.ID).AppendTo(nil), "the new backup knows other replies than the primary")
	})
}

func TestTheTableOpensResumesAndCloses(t *testing.T) {
	t.Parallel()
	table := Openers{Max: 2}
	a := open(t, &table, Identity{Depth: 1, Cookie: 10, UID: 5})
	require.Same(t, a, open(t, &table, Identity{Depth: 1, Cookie: 10, UID: 5}), "an open that is repeated is one open")
	b := open(t, &table, Identity{Depth: 1, Cookie: 20, UID: 5})
	_, err := table.Open(Identity{Cookie: 30})
	require.ErrorIs(t, err, ErrInUse)

	got, err := table.Resume(a.ID, 10, 5)
	require.NoError(t, err)
	require.Same(t, a, got)
	for _, wrong := range [][2]uint64{{a.ID, 20}, {b.ID, 10}, {99, 10}} {
		_, err = table.Resume(wrong[0], wrong[1], 5)
		require.ErrorIs(t, err, ErrWrongID)
	}
	_, err = table.Resume(a.ID, 10, 6)
	require.ErrorIs(t, err, ErrWrongID, "another user has no claim to the open")

	require.True(t, table.Close(a.ID))
	require.False(t, table.Close(a.ID))
	require.Equal(t, WrongID, table.Decide(a.ID, 1, 1))
	require.Equal(t, Run, table.Decide(b.ID, 1, 1))
	require.Equal(t, 1, table.Len())

	c := open(t, &table, Identity{Cookie: 10, UID: 5})
	require.Greater(t, c.ID, b.ID, "an ID is not used twice")
	_, err = table.Open(Identity{ID: c.ID})
	require.ErrorIs(t, err, ErrInUse)
	var ids []uint64
	for o := range table.All() {
		ids = append(ids, o.ID)
		table.Close(c.ID)
	}
	require.Equal(t, []uint64{b.ID}, ids)
	require.Equal(t, c.ID, table.Last())
	var fresh Openers
	fresh.SetLast(c.ID)
	require.Equal(t, c.ID+1, open(t, &fresh, Identity{}).ID)
}

func TestAnOpenCannotAskForMoreThanThereIs(t *testing.T) {
	t.Parallel()
	var table Openers
	for _, who := range []Identity{{Depth: -1}, {Depth: MaxDepth + 1}, {Window: -1}, {Window: MaxDepth + 1}} {
		_, err := table.Open(who)
		require.ErrorIs(t, err, ErrBadRequest)
	}
	require.Zero(t, table.Len())
}

func FuzzRestoreOpener(f *testing.F) {
	var table Openers
	for _, who := range []Identity{{Depth: 3, Cookie: 1, Name: "a"}, {Window: 2}, {Depth: 1, Window: 9, UID: 1, PID: 2}} {
		o, err := table.Open(who)
		require.NoError(f, err)
		for id := uint64(1); id < 5; id++ {
			o.Save(id, int64(id)-3, bytes.Repeat([]byte("x"), int(id)))
		}
		f.Add(o.AppendTo(nil))
	}
	f.Add([]byte{})
	f.Add([]byte{openerVersion, 1, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var table Openers
		o, err := table.Restore(b)
		if err != nil {
			return
		}
		again := restored(t, o)
		require.Equal(t, o.AppendTo(nil), again.AppendTo(nil), "what is restored can be restored again")
	})
}
