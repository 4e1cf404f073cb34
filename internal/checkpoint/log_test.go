package checkpoint

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func Example() {
	primary, _ := Create(Config{Epoch: 1})
	defer primary.Close()
	backup, _ := Open(primary.FD()) // in the other process, after the descriptor has been sent there
	defer backup.Close()
	w, r := primary.Writer(nil), backup.Reader()

	room, _ := w.Reserve(1, 5)
	copy(room, "hello")
	fmt.Println("committed:", w.Commit())

	rec, _ := r.Next()
	fmt.Printf("record %d: %s\n", rec.Seq, rec.Payload)
	r.Release()

	epoch, _ := r.Seal()
	fmt.Println("the backup is the primary of epoch", epoch)
	fmt.Println("the old primary:", w.Commit())
	// Output:
	// committed: <nil>
	// record 1: hello
	// the backup is the primary of epoch 2
	// the old primary: log is sealed: the other member has taken over
}

func TestABatchIsInvisibleUntilItsCommit(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), secondMapping(t, s).Reader()
	require.Zero(t, w.Seq())
	for kind := Kind(1); kind <= 3; kind++ {
		p, err := w.Reserve(kind, 10*int(kind))
		require.NoError(t, err)
		require.Len(t, p, 10*int(kind))
		fill(p, uint64(kind))
		_, err = r.Next()
		require.ErrorIs(t, err, io.EOF, "a record was seen before its commit")
	}
	require.Zero(t, r.Unread())
	require.NoError(t, w.Commit())
	require.Equal(t, uint64(3), w.Seq())
	require.Equal(t, 40+48+56, r.Unread())
	require.Equal(t, []Kind{1, 2, 3}, drain(t, r))
	require.Zero(t, r.Unread())
}

func TestADiscardedBatchLeavesNoGap(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), s.Reader()
	put(t, w, 1, 8)
	for range 5 {
		_, err := w.Reserve(2, 100)
		require.NoError(t, err)
	}
	w.Discard()
	require.NoError(t, w.Commit(), "nothing is pending")
	put(t, w, 3, 8)
	require.Equal(t, []Kind{1, 3}, drain(t, r))
}

func TestSequenceNumbersBeginWhereTheLogSays(t *testing.T) {
	t.Parallel()
	s, err := Create(Config{Size: MinSize, Epoch: 1<<32 - 1, FirstSeq: 1000})
	require.NoError(t, err)
	defer s.Close()
	w, r := s.Writer(nil), secondMapping(t, s).Reader()
	require.Equal(t, uint64(999), w.Seq())
	put(t, w, 9, 0)
	rec, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, Record{Kind: 9, Epoch: 1<<32 - 1, Seq: 1000, Payload: rec.Payload}, rec)
	require.Empty(t, rec.Payload)
	epoch, err := r.Seal()
	require.NoError(t, err)
	require.Zero(t, epoch, "the epoch wraps at 2^32")
}

func TestEveryRefusalLeavesTheBatchAsItWas(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), s.Reader()
	p, err := w.Reserve(1, 100)
	require.NoError(t, err)
	fill(p, 1)
	_, err = w.Reserve(0, 8)
	require.ErrorIs(t, err, ErrBadKind)
	for _, n := range []int{-1, -1 << 63, w.MaxPayload() + 1, 1<<63 - 1} {
		_, err = w.Reserve(1, n)
		require.ErrorIs(t, err, ErrTooLarge, "%d bytes", n)
		require.ErrorIs(t, w.WaitFree(n, time.Hour), ErrTooLarge, "%d bytes", n)
	}
	for kind := Kind(2); err != ErrFull; kind++ {
		if p, err = w.Reserve(kind, w.MaxPayload()-recordHeader); err == nil {
			fill(p, uint64(kind))
		}
	}
	require.ErrorIs(t, w.WaitFree(w.MaxPayload(), time.Hour), ErrFull, "no reader can help: the batch itself is in the way")
	require.NoError(t, w.Commit())
	require.Equal(t, []Kind{1, 2, 3, 4}, drain(t, r))
}

func TestFreeIsWhatFits(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), s.Reader()
	require.Equal(t, MinSize-recordHeader, w.Free())
	for w.Free() >= 2000 {
		put(t, w, 1, 1000)
	}
	free := w.Free()
	_, err := w.Reserve(1, free+1)
	require.ErrorIs(t, err, ErrFull)
	put(t, w, 1, free)
	require.Zero(t, w.Free())
	_, err = w.Reserve(1, 0)
	require.ErrorIs(t, err, ErrFull)
	drain(t, r)
	require.Equal(t, MinSize-recordHeader, w.Free())
}

func TestAWriterWithoutRoomWaitsForTheReader(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	rings := 0
	w, r := s.Writer(func() { rings++ }), secondMapping(t, s).Reader()
	for w.Free() > 0 {
		put(t, w, 1, min(w.Free(), 1000))
	}
	before := rings
	require.ErrorIs(t, w.WaitFree(1000, 0), ErrFull)
	require.Equal(t, before, rings, "it does not wait, so nobody need come")
	require.ErrorIs(t, w.WaitFree(1000, time.Millisecond), ErrFull)
	require.Equal(t, before+1, rings, "the reader must be told")

	done := make(chan error, 1)
	go func() { done <- w.WaitFree(1000, time.Minute) }()
	waitUntilWaiting(s)
	drain(t, r)
	require.NoError(t, <-done)
	put(t, w, 1, 1000)
}

// waitUntilWaiting returns when a writer has announced that it waits for room.
func waitUntilWaiting(s *Segment) {
	for s.page.waiting.Load() == 0 {
		time.Sleep(10 * time.Microsecond) // polls a condition, decides nothing
	}
}

func TestAWaitingWriterLearnsThatItLostItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*Writer, *RingReader) error
		want error
	}{
		"sealed":      {func(_ *Writer, r *RingReader) error { _, err := r.Seal(); return err }, ErrSealed},
		"handed over": {func(w *Writer, _ *RingReader) error { return w.HandOver() }, ErrSealed},
		"closed":      {func(w *Writer, _ *RingReader) error { return w.Close() }, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLog(t, MinSize)
			w, r := s.Writer(nil), s.Reader()
			for w.Free() > 0 {
				put(t, w, 1, min(w.Free(), 1000))
			}
			done := make(chan error, 1)
			go func() { done <- w.WaitFree(1000, time.Minute) }()
			waitUntilWaiting(s)
			require.NoError(t, c.end(w, r))
			require.ErrorIs(t, <-done, c.want)
		})
	}
}

func TestTheBellRingsOnceInAQuarterWhenTheRingIsHalfFull(t *testing.T) {
	t.Parallel()
	const size = 256 << 10
	s := newLog(t, size)
	rings := 0
	w, r := s.Writer(func() { rings++ }), s.Reader()
	const step = 1024
	for put(t, w, 1, step-recordHeader); r.Unread() < size/2; put(t, w, 1, step-recordHeader) {
		require.Zero(t, rings, "half of the ring is free and nobody naps: no system call (%d unread)", r.Unread())
	}
	for r.Unread() < size {
		put(t, w, 1, step-recordHeader)
		w.Free() // looks at the tail, which is no progress and so no reason to ring
	}
	require.Equal(t, 2, rings, "once past one half and once past three quarters")
	drain(t, r)
	for r.Unread() < size/2 {
		put(t, w, 1, step-recordHeader)
	}
	require.Equal(t, 2, rings, "the reader has come, so there is no reason to ring")
}

func TestANappingReaderIsCalledOnceForEachNap(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	s := newLog(t, size)
	rings := 0
	w, r := s.Writer(func() { rings++ }), s.Reader()
	const step = 512
	for nap := 1; nap <= 3; nap++ {
		r.Napping(true)
		for r.Unread() <= napUnread {
			put(t, w, 1, step-recordHeader)
			require.Equal(t, nap-1, rings, "%d bytes may wait", r.Unread())
		}
		for range 5 * lookEvery {
			put(t, w, 1, step-recordHeader)
		}
		require.Equal(t, nap, rings, "one call wakes the reader, more are wasted")
		r.Napping(false)
		drain(t, r)
	}
}

func TestAnAppendAllocatesNothing(t *testing.T) { // not parallel: it counts the allocations of the process
	s := newLog(t, 1<<20)
	w, r := s.Writer(nil), s.Reader()
	got := testing.AllocsPerRun(1000, func() {
		for range 4 {
			if _, err := w.Reserve(1, 64); err != nil {
				panic(err)
			}
		}
		if err := w.Commit(); err != nil {
			panic(err)
		}
		for range 4 {
			if _, err := r.Next(); err != nil {
				panic(err)
			}
		}
		r.Release()
	})
	require.Zero(t, got)
}

func TestTheOwnerPageIsSharedAndKeptByTheLog(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	o := secondMapping(t, s)
	require.Equal(t, [16]byte{1, 2, 3}, o.Instance())
	require.Equal(t, uint32(7), o.Epoch())
	require.Equal(t, MinSize, o.Size())
	mine, theirs := (*[pageSize / 8]atomic.Uint64)(s.OwnerPage()), (*[pageSize / 8]atomic.Uint64)(o.OwnerPage())
	for i := range mine {
		require.Zero(t, mine[i].Load())
		mine[i].Store(uint64(i) + 1)
	}
	w, r := s.Writer(nil), o.Reader()
	for range 2 * MinSize / 1000 { // twice round the ring, from whose end nothing may spill
		put(t, w, 1, 1000)
		drain(t, r)
	}
	for i := range theirs {
		require.Equal(t, uint64(i)+1, theirs[i].Load())
	}
	require.NoError(t, s.Populate())
}

func TestALogLeavesNoDescriptorAndNoMappingBehind(t *testing.T) { // not parallel: it counts descriptors
	before := countFDs(t)
	for range 20 {
		s, err := Create(Config{Size: MinSize})
		require.NoError(t, err)
		o, err := Open(s.FD())
		require.NoError(t, err)
		flags, err := unix.FcntlInt(uintptr(o.FD()), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.NotZero(t, flags&unix.FD_CLOEXEC, "a leaked descriptor would keep the log alive in a child")
		s.page.header[hMagic]++
		_, err = Open(s.FD())
		require.ErrorIs(t, err, ErrNotLog)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "Close is idempotent")
		require.NoError(t, o.Close())
	}
	require.Equal(t, before, countFDs(t))
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	require.NotContains(t, string(maps), "tandem-log")
}

func countFDs(t *testing.T) int {
	t.Helper()
	es, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(es)
}

func TestSizesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, size := range []int{-1, 1, MinSize / 2, MinSize + 1, 3 * MinSize, 2 * MaxSize} {
		_, err := Create(Config{Size: size})
		require.Error(t, err, "%d bytes", size)
	}
	s, err := Create(Config{})
	require.NoError(t, err)
	require.Equal(t, DefaultSize, s.Size())
	require.NoError(t, s.Close())
}

func TestStatesHaveNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "handed over", HandedOver.String())
	require.Equal(t, "State(200)", State(200).String())
}

func TestARecordAppendedWholeIsLikeAReservedOne(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), s.Reader()
	b, err := w.Reserve(2, 3)
	require.NoError(t, err)
	copy(b, "abc")
	require.NoError(t, w.Append(3, []byte("defgh")), "it commits what was pending before it too")
	require.NoError(t, w.Append(4, nil))
	for i, want := range []string{"abc", "defgh", ""} {
		rec, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, want, string(rec.Payload))
		require.EqualValues(t, i+2, rec.Kind)
	}
	require.ErrorIs(t, w.Append(1, make([]byte, w.MaxPayload()+1)), ErrTooLarge)
	require.ErrorIs(t, w.Append(0, nil), ErrBadKind)
	_, err = r.Seal()
	require.NoError(t, err)
	require.ErrorIs(t, w.Append(1, []byte("late")), ErrSealed, "broken promise: nothing is committed after the seal")
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
}
