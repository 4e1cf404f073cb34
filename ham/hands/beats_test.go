package hands

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands/beat"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// beatsOf counts how often beats of an entity were told.
func (b *bench) beatsOf(entity string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Beats != nil && slices.Contains(e.Beats.Entities, entity) {
			n++
		}
	}
	return n
}

func TestAWordThatMovesIsABeatWheneverItsProgramComesToIt(t *testing.T) {
	t.Parallel()
	b, g := newBench(t, Config{}), newGate(t)
	id := b.spawn(t, core.Spawn{Entity: "beater", Command: role(t, "beat", "HANDS_TEST_GATE="+g.path, "HANDS_TEST_ENTITY=beater")})
	target := core.Target{Entity: "beater", PID: id.PID, Start: id.Start}
	b.Do(core.WatchBeats{Target: target, Period: 10 * time.Millisecond, Mark: 15 * time.Millisecond}) // it has no word yet
	for i := range 3 {
		g.say(t, "beat")
		eventually(t, "a beat is not told", func() bool { return b.beatsOf("beater") == i+1 })
	}
	b.Do(core.UnwatchBeats{Entity: "beater"})
	eventually(t, "the words of a program that is no longer watched stay mapped", func() bool {
		b.beats.mu.Lock()
		defer b.beats.mu.Unlock()
		return len(b.beats.pages) == 0 && len(b.beats.groups) == 0
	})
}

func TestBeatsAreToldBeforeATickSaysThatTimeHasPassed(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	page := must(beat.New())
	defer page.Close()
	self := must(proc.Self())
	var words []*beat.Word
	for i, entity := range []string{"self", "other"} { // of one process
		words = append(words, must(page.Word(entity)))
		b.Do(core.WatchBeats{Target: core.Target{Entity: entity, PID: self.PID, Start: self.Start}, Period: time.Hour})
		eventually(t, "the word is not found", func() bool {
			b.beats.mu.Lock()
			defer b.beats.mu.Unlock()
			p := b.beats.pages[self]
			return p != nil && p.users == i+1
		})
	}
	for _, w := range words {
		w.Beat()
	}
	b.Do(core.WakeAt{At: monotonic() + 5*time.Millisecond})
	await(t, b, "the time", func(e core.Event) (bool, bool) { return true, e.Tick != nil })
	require.Equal(t, 1, b.beatsOf("self"), "a beat that is there to be seen was not told")
	require.Equal(t, 1, b.beatsOf("other"), "a beat that is there to be seen was not told")
}

func TestWhatNobodyWaitsForIsToldLaterAndWithItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	page := must(beat.New())
	defer page.Close()
	self, w := must(proc.Self()), must(page.Word("self"))
	const period = time.Hour // nobody but this test looks
	b.Hands.beats.watch(core.WatchBeats{Target: core.Target{Entity: "self", PID: self.PID, Start: self.Start}, Period: period, Mark: period + period/2})
	told := func() (seen []time.Duration) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.events {
			if e.Beats != nil {
				seen = append(seen, e.Beats.Seen...)
			}
		}
		return seen
	}
	look := func(at time.Duration) { // as if news had just been told
		w.Beat()
		b.Hands.beats.mu.Lock()
		b.Hands.beats.told = at
		b.Hands.beats.mu.Unlock()
		b.Hands.beats.look(at, false, func(*beatGroup, time.Duration) bool { return true })
	}
	begun := monotonic() + period
	look(begun)
	require.Equal(t, []time.Duration{begun}, told(), "broken promise: the first beat is told at once")
	look(begun + period)
	require.Len(t, told(), 1, "a beat that nobody waits for is told at once")
	b.Hands.beats.look(begun+period+1, true, func(*beatGroup, time.Duration) bool { return false })
	require.Equal(t, []time.Duration{begun, begun + period}, told(), "broken promise: what was seen before is told before a Tick")
	look(begun + 3*period)
	require.Len(t, told(), 3, "broken promise: a beat that follows a mark is told at once")
}

func TestWordsAreLookedAtTwiceInEachPeriod(t *testing.T) {
	t.Parallel()
	for _, period := range []time.Duration{core.MinPeriod, 15 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Hour} {
		every := lookEvery(period)
		require.LessOrEqual(t, 2*every, period)
		require.Greater(t, 4*every, period, "it is looked at more often than need be")
	}
}

func TestWhatAProcessUsesIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "busy", Command: sh("exec 7</dev/null 8</dev/null; while :; do :; done")})
	target := core.Target{Entity: "busy", PID: id.PID, Start: id.Start}
	b.Do(core.Sample{Target: target, Every: 50 * time.Millisecond})
	got := await(t, b, "a sample with processor time", func(e core.Event) (core.Sampled, bool) {
		return deref(e.Sampled), e.Sampled != nil && e.Sampled.CPU > 0 && e.Sampled.CPU < 1.5 && e.Sampled.FDs >= 5 // it has one thread
	})
	require.Equal(t, id, proc.ID{PID: got.PID, Start: got.Start})
	require.Greater(t, got.RSS, int64(100<<10))
	b.Do(core.Sample{Target: target})
	eventually(t, "sampling goes on", func() bool {
		b.samples.mu.Lock()
		defer b.samples.mu.Unlock()
		return len(b.samples.all) == 0
	})
}

func TestAPairIsToldWhenItChangesAndWhenItsMembersDie(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "run")
	b := newBench(t, Config{Pairs: root})
	primary := b.spawn(t, core.Spawn{Entity: "one", Command: sh("exec sleep 71")})
	backup := b.spawn(t, core.Spawn{Entity: "two", Command: sh("exec sleep 72")})
	dir := must(registry.Open(root, "shop"))
	defer dir.Close()
	facts := func(what string, f func(core.Pair) bool) {
		await(t, b, what, func(e core.Event) (bool, bool) {
			return true, e.Pair != nil && e.Pair.Entity == "shop-entity" && f(e.Pair.Pair)
		})
	}
	b.Do(core.WatchPair{Entity: "shop-entity", Pair: "shop"}) // not founded yet
	page := registry.Page{Instance: "i", Epoch: 3, Takeovers: 2, Primary: &registry.Member{PID: primary.PID, Start: primary.Start}}
	require.NoError(t, dir.Publish(page))
	facts("the pair", func(p core.Pair) bool {
		return p.Instance == "i" && p.Epoch == 3 && p.Takeovers == 2 && len(p.Members) == 1 && p.Members[0].Role == "primary" && !p.Gone
	})
	page.Backup = &registry.Member{PID: backup.PID, Start: backup.Start, Synchronised: true}
	require.NoError(t, dir.Publish(page))
	facts("the backup", func(p core.Pair) bool {
		return len(p.Members) == 2 && p.Members[1].Role == "backup" && p.Members[1].Synchronised
	})
	for _, id := range []proc.ID{primary, backup} {
		must(0, must(os.FindProcess(id.PID)).Kill())
	}
	facts("the end of both", func(p core.Pair) bool { return p.Gone && len(p.Members) == 0 })
	b.Do(core.Unwatch{Entity: "shop-entity"})
	eventually(t, "the pair is watched on", func() bool {
		b.pairs.mu.Lock()
		defer b.pairs.mu.Unlock()
		return len(b.pairs.all) == 0
	})
}

// A pass over 10,000 words is what a second of 10,000 heartbeats costs twice.
func BenchmarkLookAtTenThousandWords(b *testing.B) {
	page := must(beat.New())
	defer page.Close()
	x := newBench(b, Config{})
	self := must(proc.Self())
	const words = 10000
	var all []*beat.Word
	for i := range words {
		name := "entity-" + strconv.Itoa(i)
		all = append(all, must(page.Word(name)))
		x.Hands.beats.watch(core.WatchBeats{Target: core.Target{Entity: name, PID: self.PID, Start: self.Start}, Period: time.Hour})
	}
	for b.Loop() {
		for _, w := range all {
			w.Beat()
		}
		x.Hands.beats.look(monotonic(), true, func(*beatGroup, time.Duration) bool { return true })
	}
}
