package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestNoFlippedBitOfARecordGoesUnseen(t *testing.T) {
	t.Parallel()
	const n = 40
	for bit := range 8 * (recordHeader + n) {
		s := newLog(t, MinSize)
		w, r := s.Writer(nil), s.Reader()
		put(t, w, 1, 8)
		put(t, w, 1, n)
		put(t, w, 1, 8)
		s.ring[recordSize(8)+bit/8] ^= 1 << (bit % 8)
		_, err := r.Next()
		require.NoError(t, err, "the record before is whole")
		_, err = r.Next()
		require.ErrorIs(t, err, ErrCorrupt, "bit %d of byte %d was flipped", bit%8, bit/8)
		s.ring[recordSize(8)+bit/8] ^= 1 << (bit % 8)
		_, again := r.Next()
		require.Equal(t, err, again, "the error is sticky")
		require.NoError(t, s.Close())
	}
}

// A checksum only finds what does not know it. A record that is wrong but has a right one is refused as well.
func TestAForgedRecordIsRefused(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(rec []byte){
		"kind 0":              func(rec []byte) { rec[4] = 0 },
		"reserved bytes":      func(rec []byte) { rec[6] = 1 },
		"another epoch":       func(rec []byte) { rec[12]++ },
		"an old record":       func(rec []byte) { rec[16]-- },
		"a record is missing": func(rec []byte) { rec[16]++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLog(t, MinSize)
			w, r := s.Writer(nil), s.Reader()
			put(t, w, 1, 16)
			rec := s.ring[:recordHeader+16]
			forge(rec)
			seal(rec)
			_, err := r.Next()
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// Nor may a length reach beyond what is committed, however well the bytes there are summed.
func TestAForgedLengthIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ committed, length int }{
		"beyond what is committed":        {8, 9},
		"a header beyond it":              {8, 40},
		"longer than the longest payload": {MinSize / 2, MinSize/4 + 1},
		"longer than the ring":            {MinSize - recordHeader, 1<<32 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLog(t, MinSize)
			r := s.Reader()
			rec := s.ring[:min(recordHeader+c.length, len(s.ring))]
			h := (*[recordHeader]byte)(rec)
			binary.LittleEndian.PutUint64(h[0:], 1<<32|uint64(c.length))
			binary.LittleEndian.PutUint32(h[12:], s.epoch)
			binary.LittleEndian.PutUint64(h[16:], s.firstSeq)
			seal(rec)
			s.page.word.Store(packWord(s.epoch, uint64(recordSize(c.committed))))
			_, err := r.Next()
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

func TestAHeaderOfAnotherPageSizeIsRefused(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	h := &s.page.header
	binary.LittleEndian.PutUint32(h[hRingAt:], uint32(2*ringAt()))
	binary.LittleEndian.PutUint32(h[hChecksum:], crc32.Checksum(h[:hChecksum], castagnoli))
	_, err := Open(s.FD())
	require.ErrorIs(t, err, ErrNotLog)
}

// seal gives a record the checksum that fits it.
func seal(rec []byte) {
	binary.LittleEndian.PutUint32(rec[8:], 0)
	binary.LittleEndian.PutUint32(rec[8:], sum((*[recordHeader]byte)(rec), rec[recordHeader:]))
}

func TestACommitWordThatNobodyWroteIsRefused(t *testing.T) {
	t.Parallel()
	for name, word := range map[string]uint64{
		"an epoch two ahead":      packWord(9, 40),
		"an epoch behind":         packWord(6, 40),
		"more than the ring":      packWord(7, MinSize+8),
		"an offset that ran back": packWord(7, offsetMask-7),
		"less than a header":      packWord(7, 16),
		"no multiple of eight":    packWord(7, 41),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLog(t, MinSize)
			w, r := s.Writer(nil), s.Reader()
			p, err := w.Reserve(1, 16)
			require.NoError(t, err)
			fill(p, 1)
			s.page.word.Store(word)
			require.ErrorIs(t, w.Commit(), ErrCorrupt)
			require.ErrorIs(t, w.Commit(), ErrCorrupt, "final")
			for err == nil {
				_, err = r.Next()
			}
			require.ErrorIs(t, err, ErrCorrupt)
			require.LessOrEqual(t, r.Unread(), MinSize)
			if stateOf(word, 7) == Broken {
				require.Equal(t, Broken, s.State())
				require.ErrorIs(t, w.Close(), ErrCorrupt)
				require.ErrorIs(t, w.HandOver(), ErrCorrupt)
				_, err = r.Seal()
				require.ErrorIs(t, err, ErrCorrupt, "it is not known who is primary")
			}
		})
	}
}

func TestATailThatNobodyWroteStopsTheWriter(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w := s.Writer(nil)
	put(t, w, 1, 8)
	s.page.tail.Store(3 * MinSize) // far beyond what is committed
	var err error
	for err == nil {
		if _, err = w.Reserve(1, 1000); err == nil {
			err = w.Commit()
		}
	}
	require.ErrorIs(t, err, ErrCorrupt)
	require.Zero(t, w.Free())
	require.ErrorIs(t, w.Commit(), ErrCorrupt)
}

func TestNoFlippedBitOfTheHeaderOpens(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	for bit := range 8 * (hChecksum + 4) {
		s.page.header[bit/8] ^= 1 << (bit % 8)
		_, err := Open(s.FD())
		require.ErrorIs(t, err, ErrNotLog, "bit %d of byte %d was flipped", bit%8, bit/8)
		s.page.header[bit/8] ^= 1 << (bit % 8)
	}
	secondMapping(t, s)
}

func TestOnlyASealedMemfdOfTheRightSizeOpens(t *testing.T) {
	t.Parallel()
	whole := int64(ringAt() + MinSize)
	var h header
	h.size = MinSize
	var page [256]byte
	h.encode(&page)
	const sealed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	for name, c := range map[string]struct {
		size  int64
		seals int
		want  error
	}{
		"as it should be":  {whole, sealed, nil},
		"not sealed":       {whole, 0, ErrNotLog},
		"it might shrink":  {whole, unix.F_SEAL_GROW, ErrNotLog},
		"it might grow":    {whole, unix.F_SEAL_SHRINK, ErrNotLog},
		"one page shorter": {whole - pageSize, sealed, ErrNotLog},
		"a larger ring":    {whole + MinSize, sealed, ErrNotLog},
		"no ring":          {int64(ringAt()), sealed, ErrNotLog},
		"empty":            {0, sealed, ErrNotLog},
		"far too large":    {4 << 30, sealed, ErrNotLog},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fd := craft(t, page[:], c.size, c.seals)
			s, err := Open(fd)
			require.ErrorIs(t, err, c.want)
			if err == nil {
				require.NoError(t, s.Close())
			}
		})
	}
	f, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(whole))
	_, err = Open(int(f.Fd()))
	require.ErrorIs(t, err, ErrNotLog, "a file on a disk can shrink under the mapping")
	_, err = Open(-1)
	require.ErrorIs(t, err, unix.EBADF)
}

// craft makes a memfd that begins with the given bytes.
func craft(t testing.TB, begin []byte, size int64, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("crafted", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Ftruncate(fd, size))
	_, err = unix.Pwrite(fd, begin[:min(int64(len(begin)), size)], 0)
	require.NoError(t, err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	require.NoError(t, err)
	return fd
}

func FuzzOpen(f *testing.F) {
	var page [256]byte
	h := header{size: MinSize, epoch: 3, firstSeq: 1}
	h.encode(&page)
	f.Add(page[:hChecksum], true)
	f.Add(page[:hChecksum+4], false)
	f.Add(append(bytes.Clone(page[:]), 0xff, 0xff, 0xff), false)
	f.Add(append(bytes.Clone(page[:]), bytes.Repeat([]byte{1}, 2048)...), false) // every word and flag forged
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, begin []byte, sign bool) {
		begin = begin[:min(len(begin), pageSize)]
		if sign && len(begin) >= hChecksum { // or nothing would ever get past the checksum
			begin = begin[:hChecksum:hChecksum]
			begin = binary.LittleEndian.AppendUint32(begin, crc32.Checksum(begin, castagnoli))
		}
		s, err := Open(craft(t, begin, int64(ringAt()+MinSize), unix.F_SEAL_SHRINK|unix.F_SEAL_GROW))
		if err != nil {
			require.ErrorIs(t, err, ErrNotLog)
			return
		}
		defer s.Close()
		require.Equal(t, MinSize, s.Size())
		w, r := s.Writer(nil), s.Reader()
		if p, err := w.Reserve(1, 8); err == nil {
			fill(p, 1)
			_ = w.Commit()
		}
		readAll(t, r)
	})
}

// readAll reads until the log says that there is no more, whatever is in it.
func readAll(t *testing.T, r *RingReader) {
	t.Helper()
	before := uint64(0)
	for n := 0; ; n++ {
		rec, err := r.Next()
		if err != nil {
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrInUse), "%v", err)
			_, again := r.Next()
			require.Equal(t, err, again)
			return
		}
		require.NotZero(t, rec.Kind)
		require.LessOrEqual(t, len(rec.Payload), int(r.size/4))
		require.True(t, n == 0 || rec.Seq == before+1)
		require.LessOrEqual(t, n, int(r.size/recordHeader), "more records than fit into the ring")
		before = rec.Seq
	}
}

func FuzzNext(f *testing.F) {
	s, err := Create(Config{Size: MinSize, Epoch: 7})
	require.NoError(f, err)
	w := s.Writer(nil)
	for i := range 5 {
		p, err := w.Reserve(Kind(i+1), 10*i)
		require.NoError(f, err)
		fill(p, uint64(i))
	}
	require.NoError(f, w.Commit())
	end := w.committed
	good := bytes.Clone(s.ring[:end])
	require.NoError(f, s.Close())

	f.Add(good, packWord(7, end), uint64(0))
	f.Add(good, packWord(8, end), uint64(0))
	f.Add(good[:60], packWord(7, 64), uint64(0))
	f.Add(good, packWord(7, MinSize), uint64(8))
	f.Add(good, uint64(1<<64-1), uint64(1<<64-1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, packWord(7, 2*MinSize-8), uint64(MinSize-8))
	f.Fuzz(func(t *testing.T, ring []byte, word, tail uint64) {
		s := newLog(t, MinSize)
		at := tail & (MinSize - 1)
		copy(s.ring[at:at+MinSize], ring)
		s.page.word.Store(word)
		s.page.tail.Store(tail)
		r := s.Reader()
		readAll(t, r)
		r.Release()
		require.LessOrEqual(t, r.Unread(), MinSize)
	})
}

func TestTheChecksumIsThatOfTheStandardLibraryThreeTimes(t *testing.T) {
	t.Parallel()
	buf := make([]byte, 2*shortSum)
	fill(buf, 99)
	for n := range 300 { // every length round the loop's steps, at every alignment
		for at := range 9 {
			checkSum(t, 0, buf[at:at+n])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		checkSum(t, rapid.Uint32().Draw(t, "crc"), rapid.SliceOfN(rapid.Byte(), 0, 2*shortSum).Draw(t, "bytes"))
	})
}
