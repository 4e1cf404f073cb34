package daemon

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func newTestJournal(dir string) *journal {
	return &journal{path: filepath.Join(dir, "journal"), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// kept is what a journal is to bring back: entities by name.
type kept map[string]uint64

func (k kept) all() batch {
	b := batch{Root: &core.Root{Seq: 1}}
	for _, name := range slices.Sorted(maps.Keys(k)) {
		b.Entities = append(b.Entities, &core.Entity{Name: name, Generation: k[name]})
	}
	return b
}

func (k kept) apply(b *batch) {
	for _, e := range b.Entities {
		k[e.Name] = e.Generation
	}
	for _, name := range b.Gone {
		delete(k, name)
	}
}

// A HAM that follows has what the journal had at some moment: the last one whose frame is whole.
func TestAJournalThatIsCutAnywhereTellsOfAMomentBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		j := newTestJournal(dir)
		defer j.remove()
		now := kept{}
		type moment struct {
			size int64
			is   kept
		}
		var past []moment // of the present file
		for i := range rapid.IntRange(1, 40).Draw(t, "writes") {
			b := batch{Entities: []*core.Entity{{Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), Generation: uint64(i),
				Status: strings.Repeat("x", rapid.IntRange(0, 100<<10).Draw(t, "length"))}}}
			if rapid.Bool().Draw(t, "remove") {
				b.Gone = []string{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "gone")}
			}
			now.apply(&b)
			j.write(&b, now.all)
			if j.size == j.whole {
				past = nil // begun anew
			}
			past = append(past, moment{j.size, maps.Clone(now)})
		}
		cut := rapid.Int64Range(j.whole, j.size).Draw(t, "cut")
		require.NoError(t, os.Truncate(j.path, cut))
		want := past[0].is
		for _, m := range past {
			if m.size <= cut {
				want = m.is
			}
		}
		batches, err := newTestJournal(dir).load()
		require.NoError(t, err)
		got := kept{}
		for i := range batches {
			got.apply(&batches[i])
		}
		require.Equal(t, want, got, "broken promise: nothing that was begun is forgotten; cut at %d of %d", cut, j.size)
	})
}

func TestAJournalIsCheckedBitByBit(t *testing.T) {
	t.Parallel()
	j := newTestJournal(t.TempDir())
	now := kept{"a": 1}
	j.write(&batch{}, now.all)
	whole := j.size
	j.write(&batch{Entities: []*core.Entity{{Name: "b", Generation: 2}}}, nil)
	good, err := os.ReadFile(j.path)
	require.NoError(t, err)
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		_, all, left, err := parseJournal(bad)
		if int64(at) >= whole {
			require.NoError(t, err)
			require.Len(t, all, 1, "broken promise: a frame that is not as it was written does not count; byte %d", at)
			require.NotZero(t, left)
		} else if err == nil {
			require.Empty(t, all, "byte %d", at)
		}
	}
	j.close()
}

func TestTheJournalOfAnotherBootCountsForNothing(t *testing.T) {
	t.Parallel()
	j := newTestJournal(t.TempDir())
	b, err := appendFrame(nil, journalHeader{journalMagic, "another"})
	require.NoError(t, err)
	b, err = appendFrame(b, batch{Entities: []*core.Entity{{Name: "a"}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(j.path, b, 0o600))
	all, err := j.load()
	require.NoError(t, err)
	require.Empty(t, all, "broken promise: a process of another boot is not looked for")
}

func TestAJournalThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	j := newTestJournal(t.TempDir())
	all, err := j.load()
	require.NoError(t, err, "no journal is none")
	require.Empty(t, all)
	require.NoError(t, os.WriteFile(j.path, []byte("something else"), 0o600))
	_, err = j.load()
	require.ErrorContains(t, err, `expected a file that begins with "tandem ham journal 1"`)
}

// A full disk costs HAM nothing but what only both its halves' death would show; and it mends itself.
func TestAJournalThatCannotBeWrittenIsBegunAnewLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := newTestJournal(dir)
	now := kept{"a": 1}
	j.write(&batch{}, now.all)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, j.f.Close())
	j.f = full
	now["a"] = 2
	j.write(&batch{Entities: []*core.Entity{{Name: "a", Generation: 2}}}, now.all)
	require.False(t, j.broken.IsZero())
	now["a"] = 3
	j.write(&batch{Entities: []*core.Entity{{Name: "a", Generation: 3}}}, func() batch { panic("not yet") })
	j.broken = time.Now().Add(-2 * mendEvery)
	now["a"] = 4
	j.write(&batch{Entities: []*core.Entity{{Name: "a", Generation: 4}}}, now.all)
	require.True(t, j.broken.IsZero())
	all, err := newTestJournal(dir).load()
	require.NoError(t, err)
	got := kept{}
	for i := range all {
		got.apply(&all[i])
	}
	require.Equal(t, now, got, "broken promise: with room again the journal is whole again")
	j.remove()
	_, err = os.Stat(j.path)
	require.True(t, errors.Is(err, os.ErrNotExist))
}

func FuzzParseJournal(f *testing.F) {
	b, err := appendFrame(nil, journalHeader{journalMagic, "boot"})
	require.NoError(f, err)
	f.Add(b)
	b, err = appendFrame(b, batch{Entities: []*core.Entity{{Name: "a"}}, Jobs: []*core.Job{{ID: 1}}, Over: []uint64{1}, History: []*core.Happening{{Seq: 1}}})
	require.NoError(f, err)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, left, _ := parseJournal(b)
		require.LessOrEqual(t, left, len(b))
		if len(b) >= 8 { // and with checksums that are right
			framed, err := appendFrame(nil, journalHeader{journalMagic, "boot"})
			require.NoError(t, err)
			var raw [8]byte
			framed = append(framed, raw[:]...)
			framed = append(framed, b...)
			seal(framed[len(framed)-len(b)-8:])
			_, _, _, _ = parseJournal(framed)
		}
	})
}
