package registry

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func fullPage() Page {
	since := time.Date(2031, 2, 3, 4, 5, 6, 789, time.UTC)
	return Page{
		Program: "/usr/bin/bank", Mode: "primary computes", Instance: "c0ffee", Epoch: 7, Upgrade: "/usr/bin/bank-2",
		Listen:           []string{"127.0.0.1:7000"},
		Primary:          &Member{PID: 41, Start: math.MaxUint64, Since: since},
		Backup:           &Member{PID: 42, Start: 2, Since: since, Synchronised: true, Spawned: true, Program: "/usr/bin/bank", Differs: true},
		UnprotectedSince: &since,
		Notice:           []string{"robust futex", "end of file"},
		Takeovers:        5, Switches: 1,
		LastTakeover: &Takeover{
			Epoch: 7, Cause: "killed", Evidence: "robust futex", At: since,
			NoticedUS: 1, FencedUS: 2, SealedUS: 3, DrainedUS: 4, ServingUS: 5, FirstReplyUS: 6, RestoredUS: 7, Records: 8,
		},
		Requests: 1 << 40, Stopped: true,
	}
}

func TestWhatIsPublishedIsRead(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	d := openDir(t, root, "bank")
	for version, want := range []Page{{}, fullPage(), {Notice: []string{}}, fullPage()} {
		before := time.Now()
		require.NoError(t, d.Publish(want))
		got, err := Read(root, "bank")
		require.NoError(t, err)
		require.WithinRange(t, got.UpdatedAt, before.Round(0), time.Now())
		want.Name, want.Version, want.UpdatedAt = "bank", uint64(version+1), got.UpdatedAt
		require.Equal(t, inUTC(want), inUTC(got))
	}
}

// Scripts read these names from pairmon status --json.
func TestTheJSONOfAPageKeepsItsNames(t *testing.T) {
	t.Parallel()
	p := fullPage()
	p.UnprotectedSince = nil
	b, err := json.Marshal(p)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"version": 0, "name": "", "program": "/usr/bin/bank", "mode": "primary computes", "instance": "c0ffee", "epoch": 7,
		"primary": {"pid": 41, "start": 18446744073709551615, "since": "2031-02-03T04:05:06.000000789Z", "synchronised": false, "spawned": false, "program": "", "differs": false},
		"backup": {"pid": 42, "start": 2, "since": "2031-02-03T04:05:06.000000789Z", "synchronised": true, "spawned": true, "program": "/usr/bin/bank", "differs": true},
		"upgrade": "/usr/bin/bank-2", "listen": ["127.0.0.1:7000"],
		"unprotected_since": null, "notice": ["robust futex", "end of file"], "takeovers": 5, "switches": 1,
		"last_takeover": {"epoch": 7, "cause": "killed", "evidence": "robust futex", "at": "2031-02-03T04:05:06.000000789Z",
			"noticed_us": 1, "fenced_us": 2, "sealed_us": 3, "drained_us": 4, "serving_us": 5, "first_reply_us": 6,
			"restored_us": 7, "records": 8},
		"requests": 1099511627776, "stopped": true, "updated_at": "0001-01-01T00:00:00Z"
	}`, string(b))
}

func TestANameWithoutAPageIsNoPair(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	_, err := Read(root, "bank")
	require.ErrorIs(t, err, ErrNoPair, "no run directory")
	require.EqualError(t, err, `cannot read the page of "bank" under `+root+`: no such pair`)
	d := openDir(t, root, "bank")
	_, err = Read(root, "bank")
	require.ErrorIs(t, err, ErrNoPair, "no page")
	_, err = Read(root, "shop")
	require.ErrorIs(t, err, ErrNoPair, "no directory")
	require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "page"), nil, 0o600))
	_, err = Read(root, "bank")
	require.ErrorIs(t, err, ErrNoPair, "a publisher died before its first word")
}

func TestAPageThatDoesNotFitIsRefusedAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	d := openDir(t, root, "bank")
	require.NoError(t, d.Publish(testPage(1)))
	err := d.Publish(Page{Program: strings.Repeat("x", slotSize)})
	require.ErrorIs(t, err, ErrPageTooLarge)
	require.ErrorContains(t, err, "cannot publish the page of bank: ")
	p, err := Read(root, "bank")
	require.NoError(t, err)
	requireTestPage(t, p)
	require.Equal(t, uint64(1), p.Version)
}

// SIGKILL at random moments of a process that does nothing but publish: whoever reads meanwhile, and afterwards, sees
// whole pages whose versions only grow; and the next publisher goes on from there.
func TestReadersSeeWholeAndNewerPagesWhileThePublisherIsKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	openDir(t, root, "bank") // so that it is there before the first publisher is
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	var newest uint64
	look := func() bool {
		p, err := Read(root, "bank")
		if newest == 0 && err != nil {
			require.ErrorIs(t, err, ErrNoPair)
			return false
		}
		require.NoError(t, err)
		requireTestPage(t, p)
		require.GreaterOrEqual(t, p.Version, newest, "an older page came back")
		grown := p.Version > newest
		newest = p.Version
		return grown
	}
	for range 12 {
		publisher, _, _ := start(t, "publish", root, "bank")
		for looks := 1 + random.IntN(40); looks > 0; {
			if look() { // only a page of this publisher counts
				looks--
			}
		}
		kill(publisher)
		look()
		require.False(t, look(), "a dead process published")
	}
}

// image is the content of a page file.
type image []byte

func (im image) page() (Page, error) { return readPage(bytes.NewReader(im)) }

// file publishes the pages with the given numbers and returns the file then.
func file(t require.TestingT, dir string, numbers ...uint64) image {
	d, err := Open(dir, "bank")
	require.NoError(t, err)
	defer d.Close()
	for _, n := range numbers {
		require.NoError(t, d.Publish(testPage(n)))
	}
	b, err := os.ReadFile(filepath.Join(d.Path(), "page"))
	require.NoError(t, err)
	return b
}

// What the kill above hits by chance, byte by byte: a publisher has written so much of the new slot, and not the word.
func TestAPublicationCutAtAnyByteChangesNothing(t *testing.T) {
	t.Parallel()
	for _, versions := range []uint64{1, 2, 3} { // each slot is first empty, then used
		root := tempRoot(t)
		var numbers []uint64
		for n := range versions {
			numbers = append(numbers, 50+n)
		}
		before := file(t, root, numbers...)
		after := file(t, root, 10)
		at := slotOffset(versions + 1)
		end := at + slotHeader + int64(binary.LittleEndian.Uint32(after[at+4:]))
		for cut := at; cut <= end; cut++ {
			torn := append(image{}, before...)
			torn = append(torn, make([]byte, max(0, cut-int64(len(torn))))...)
			copy(torn[at:cut], after[at:cut])
			p, err := torn.page()
			require.NoError(t, err, "cut after %d bytes of the slot", cut-at)
			require.Equal(t, versions, p.Version)
			require.Equal(t, 49+versions, p.Requests)
		}
		p, err := after.page()
		require.NoError(t, err)
		require.Equal(t, versions+1, p.Version)
	}
}

// A reader may be stopped between any two of its readings, for as long as it likes.
func TestAReaderThatIsOvertakenReadsAgain(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	d := openDir(t, root, "bank")
	published := uint64(0)
	publish := func() {
		published++
		require.NoError(t, d.Publish(testPage(published)))
	}
	publish()
	f, err := os.Open(filepath.Join(d.Path(), "page"))
	require.NoError(t, err)
	defer f.Close()

	p, err := readPage(&interrupted{f: f, before: func(reading int) {
		if reading < 9 {
			publish()
			publish()
		}
	}})
	require.NoError(t, err)
	requireTestPage(t, p)
	require.Equal(t, published, p.Version)

	_, err = readPage(&interrupted{f: f, before: func(int) { publish(); publish() }})
	require.ErrorIs(t, err, ErrCorruptPage, "a reader that is always overtaken gives up")
}

type interrupted struct {
	f        *os.File
	readings int
	before   func(reading int)
}

func (i *interrupted) ReadAt(b []byte, off int64) (int, error) {
	i.before(i.readings)
	i.readings++
	return i.f.ReadAt(b, off)
}

func TestEveryDamageToThePageThatCountsIsFound(t *testing.T) {
	t.Parallel()
	whole := file(t, tempRoot(t), 1, 2)
	length := slotHeader + int64(binary.LittleEndian.Uint32(whole[slotOffset(2)+4:]))
	for at := slotOffset(2); at < slotOffset(2)+length; at++ {
		if reserved := at - slotOffset(2); reserved >= 20 && reserved < slotHeader {
			continue
		}
		for bit := range 8 {
			damaged := append(image{}, whole...)
			damaged[at] ^= 1 << bit
			_, err := damaged.page()
			require.ErrorIs(t, err, ErrCorruptPage, "bit %d of byte %d of the slot", bit, at-slotOffset(2))
		}
	}
	for n := range int64(len(whole)) {
		switch _, err := whole[:n].page(); {
		case n == 0:
			require.ErrorIs(t, err, ErrNoPair)
		case n < slotOffset(2)+length && n > slotOffset(2):
			require.ErrorIs(t, err, ErrCorruptPage, "cut to %d bytes", n)
		}
	}
}

func TestADamagedPageIsReplacedByTheNextPublication(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(b []byte) []byte{
		"slot":          func(b []byte) []byte { b[slotOffset(2)+100]++; return b },
		"word":          func(b []byte) []byte { b[5] = 9; return b },
		"word is spent": func(b []byte) []byte { copy(b, "\xff\xff\xff\xff\xff\xff\xff\xff"); return b },
		"cut":           func(b []byte) []byte { return b[:slotSize+17] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tempRoot(t)
			b := file(t, root, 1, 2)
			require.NoError(t, os.WriteFile(filepath.Join(root, "bank", "page"), damage(b), 0o600))
			_, err := Read(root, "bank")
			require.ErrorIs(t, err, ErrCorruptPage)

			require.NoError(t, openDir(t, root, "bank").Publish(testPage(3)))
			p, err := Read(root, "bank")
			require.NoError(t, err)
			require.Equal(t, uint64(3), p.Requests)
		})
	}
}

func TestAPageThatWasRemovedIsMadeAnew(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	d := openDir(t, root, "bank")
	require.NoError(t, d.Publish(testPage(1)))
	require.NoError(t, os.Remove(filepath.Join(d.Path(), "page")))
	require.NoError(t, d.Publish(testPage(2)))
	p, err := Read(root, "bank")
	require.NoError(t, err)
	require.Equal(t, uint64(2), p.Version, "the version went back")

	require.NoError(t, os.RemoveAll(d.Path()))
	err = d.Publish(testPage(3))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, d.Path())
}

func TestAPageThatIsNoFileIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tempRoot(t)
			d := openDir(t, root, "bank")
			require.NoError(t, put(filepath.Join(d.Path(), "page")))
			_, err := Read(root, "bank")
			require.ErrorContains(t, err, filepath.Join(d.Path(), "page"))
			require.ErrorContains(t, d.Publish(Page{}), filepath.Join(d.Path(), "page"))
		})
	}
}

func TestListTellsOfEveryPairInOrder(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	pages, errs := List(root)
	require.Empty(t, pages)
	require.Empty(t, errs, "a run directory that is missing has no pairs")

	for _, name := range []string{"shop", "bank", "damaged", "Zoo"} {
		require.NoError(t, openDir(t, root, name).Publish(testPage(1)))
	}
	openDir(t, root, "starting") // has not published yet
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(root, ".hidden"), 0o700))
	require.NoError(t, os.Truncate(filepath.Join(root, "damaged", "page"), 8))

	pages, errs = List(root)
	var names []string
	for _, p := range pages {
		requireTestPage(t, p)
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"Zoo", "bank", "shop"}, names)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ErrCorruptPage)
	require.ErrorContains(t, errs[0], "damaged")

	_, errs = List(filepath.Join(root, "file"))
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "cannot list the pairs under ")
}

func TestASlotHoldsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := testPage(rapid.Uint64Range(0, 1<<60).Draw(t, "number"))
		want.Version = rapid.Uint64Min(1).Draw(t, "version")
		before := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes before the slot")
		slot, err := appendSlot(before, &want)
		if len(slot) == len(before) {
			require.ErrorIs(t, err, ErrPageTooLarge)
			return
		}
		require.NoError(t, err)
		slot = slot[len(before):]
		got, err := decodeSlot(slot, want.Version)
		require.NoError(t, err)
		require.Equal(t, inUTC(want), inUTC(got))

		_, err = decodeSlot(slot, want.Version+1)
		require.ErrorIs(t, err, ErrCorruptPage, "another version was asked for")
	})
}
