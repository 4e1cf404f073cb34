package beat

import (
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newPage(t testing.TB) *Page {
	t.Helper()
	p, err := New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// find looks for a word as HAM does, by the pid alone.
func find(t testing.TB, entity string) *uint64 {
	t.Helper()
	views, err := Find(os.Getpid())
	require.NoError(t, err)
	var found *uint64
	for _, v := range views {
		t.Cleanup(func() { require.NoError(t, v.Close()) })
		if w := v.Word(entity); w != nil {
			found = w
		}
	}
	return found
}

func TestAWordIsFoundByPidAndNameAndShowsEveryBeat(t *testing.T) {
	t.Parallel()
	p := newPage(t)
	_, err := p.Word("another")
	require.NoError(t, err)
	w, err := p.Word("cache")
	require.NoError(t, err)
	seen := find(t, "cache")
	require.NotNil(t, seen)
	for i := range uint64(3) {
		require.Equal(t, i, atomic.LoadUint64(seen))
		w.Beat()
	}
	require.Nil(t, find(t, "unknown"))
	w.Close()
	require.Nil(t, find(t, "cache"), "a closed word is still found")
}

func TestAClosedWordMakesRoomAndHidesNoOther(t *testing.T) {
	t.Parallel()
	p := newPage(t)
	var all []*Word
	for i := range size/slotSize - 1 {
		w, err := p.Word("entity-" + strconv.Itoa(i))
		require.NoError(t, err)
		all = append(all, w)
	}
	_, err := p.Word("one more")
	require.ErrorIs(t, err, ErrFull)
	all[3].Close()
	require.NotNil(t, find(t, "entity-16382"))
	_, err = p.Word("one more")
	require.NoError(t, err)
}

func TestMemoryThatCouldVanishIsNotMapped(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(fd int) error{
		"not sealed": func(fd int) error { return unix.Ftruncate(fd, size) },
		"too small": func(fd int) error {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
			return err
		},
		"without magic": func(fd int) error {
			_ = unix.Ftruncate(fd, size)
			_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
			return err
		},
	} {
		fd, err := unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		require.NoError(t, err)
		require.NoError(t, make(fd))
		_, err = open("/proc/self/fd/" + strconv.Itoa(fd))
		require.Error(t, err, name)
		unix.Close(fd)
	}
}

func BenchmarkBeat(b *testing.B) {
	w, err := newPage(b).Word("cache")
	require.NoError(b, err)
	for b.Loop() {
		w.Beat()
	}
}
