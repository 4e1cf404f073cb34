package checkpoint

import (
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newBenchLog makes a log of the default size.
func newBenchLog(b *testing.B) *Segment {
	s, err := Create(Config{Epoch: 1})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	_ = s.Populate()
	return s
}

// drainQuietly is a reader that costs nothing: it releases everything without looking at it.
func drainQuietly(s *Segment) { s.page.tail.Store(s.page.word.Load() & offsetMask) }

// appendOps appends payload ops times in batches, each published by one Commit.
func appendOps(w Appender, payload []byte, ops, batch int) error {
	for done := 0; done < ops; done += batch {
		for range batch {
			room, err := w.Reserve(1, len(payload))
			if err != nil {
				return err
			}
			copy(room, payload)
		}
		if err := w.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// plainRing is the least that could hand bytes to another process: a copy into shared memory and one atomic store.
type plainRing struct {
	ring []byte
	head uint64
	word *atomic.Uint64
}

func (p *plainRing) copyOps(payload []byte, ops int) {
	mask := uint64(len(p.ring)/2 - 1)
	for range ops {
		copy(p.ring[p.head&mask:], payload)
		p.head += uint64(len(payload)+7) &^ 7
		p.word.Store(p.head)
	}
}

func newPlainRing(s *Segment) *plainRing {
	return &plainRing{ring: s.ring, word: (*atomic.Uint64)(s.OwnerPage())}
}

const benchRound = 1024 // appends between two releases: 64 to 1,024 bytes each, far below half of the ring

func benchmarkAppend(b *testing.B, size, batch int) {
	s := newBenchLog(b)
	w, payload := s.Writer(nil), make([]byte, size)
	b.ReportAllocs()
	b.SetBytes(int64(size))
	b.ResetTimer()
	for n := 0; n < b.N; n += benchRound {
		if err := appendOps(w, payload, benchRound, batch); err != nil {
			b.Fatal(err)
		}
		drainQuietly(s)
	}
}

func BenchmarkAppend64(b *testing.B)        { benchmarkAppend(b, 64, 1) }
func BenchmarkAppend64Batch16(b *testing.B) { benchmarkAppend(b, 64, 16) }
func BenchmarkAppend1024(b *testing.B)      { benchmarkAppend(b, 1024, 1) }

func benchmarkCopyStore(b *testing.B, size int) {
	p, payload := newPlainRing(newBenchLog(b)), make([]byte, size)
	b.SetBytes(int64(size))
	b.ResetTimer()
	for n := 0; n < b.N; n += benchRound {
		p.copyOps(payload, benchRound)
	}
}

func BenchmarkCopyStore64(b *testing.B)   { benchmarkCopyStore(b, 64) }
func BenchmarkCopyStore1024(b *testing.B) { benchmarkCopyStore(b, 1024) }

// copyOut is the reader of a plainRing: it copies everything out.
func (p *plainRing) copyOut(dst []byte, tail uint64) uint64 {
	head, size := p.word.Load(), uint64(len(p.ring)/2)
	for tail != head {
		at := tail & (size - 1)
		tail += uint64(copy(dst, p.ring[at:at+min(head-tail, size)]))
	}
	return head
}

// drainEveryMillisecond reads both rings as a backup does, until stop.
func drainEveryMillisecond(r *RingReader, plain *plainRing, stop <-chan struct{}) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	private, tail := make([]byte, 64<<10), uint64(0)
	for {
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
		}
		r.Release()
		tail = plain.copyOut(private, tail)
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// benchmarkRatio alternates the two, so that whatever else the machine does meets both, and reports the medians
// of the rounds and of the ratios of neighbouring rounds.
func benchmarkRatio(b *testing.B, drained bool, appendOps func(w Appender, payload []byte, ops int) error) {
	s, plain := newBenchLog(b), newPlainRing(newBenchLog(b))
	w, payload := s.Writer(nil), make([]byte, 64)
	if drained {
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- drainEveryMillisecond(s.Reader(), plain, stop) }()
		b.Cleanup(func() { close(stop); require.NoError(b, <-done) })
	}
	var copies, appends, ratios []float64
	for n := 0; n < b.N; n += benchRound {
		if drained && w.Free() < s.Size()/2 {
			require.NoError(b, w.WaitFree(w.MaxPayload(), time.Minute))
		}
		t0 := time.Now()
		plain.copyOps(payload, benchRound)
		t1 := time.Now()
		err := appendOps(w, payload, benchRound)
		t2 := time.Now()
		require.NoError(b, err)
		if !drained {
			drainQuietly(s)
		}
		copies = append(copies, float64(t1.Sub(t0))/benchRound)
		appends = append(appends, float64(t2.Sub(t1))/benchRound)
		ratios = append(ratios, float64(t2.Sub(t1))/float64(t1.Sub(t0)))
	}
	b.ReportMetric(median(copies), "ns/copy")
	b.ReportMetric(median(appends), "ns/append")
	b.ReportMetric(median(ratios), "appends/copy")
	b.ReportMetric(0, "ns/op") // both together say nothing
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func BenchmarkAppendRatio(b *testing.B)         { benchmarkRatio(b, false, wholeOps) }
func BenchmarkAppendRatioDrained(b *testing.B)  { benchmarkRatio(b, true, wholeOps) }
func BenchmarkReserveRatio(b *testing.B)        { benchmarkRatio(b, false, singleOps) }
func BenchmarkReserveRatioDrained(b *testing.B) { benchmarkRatio(b, true, singleOps) }

func singleOps(w Appender, payload []byte, ops int) error { return appendOps(w, payload, ops, 1) }

func wholeOps(w Appender, payload []byte, ops int) error {
	for range ops {
		if err := w.Append(1, payload); err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkRead64(b *testing.B) {
	s := newBenchLog(b)
	w, r, payload := s.Writer(nil), s.Reader(), make([]byte, 64)
	b.ReportAllocs()
	for n := 0; n < b.N; n += benchRound {
		b.StopTimer()
		if err := appendOps(w, payload, benchRound, 16); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for range benchRound {
			if _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
		r.Release()
	}
}

// BenchmarkUnixWrite64 is what the log saves: the same bytes written to a socket, without any answer.
func BenchmarkUnixWrite64(b *testing.B) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(b, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			if n, err := unix.Read(fds[1], buf); err != unix.EINTR && n <= 0 {
				return
			}
		}
	}()
	payload := make([]byte, 64)
	b.ResetTimer()
	for range b.N {
		if _, err := unix.Write(fds[0], payload); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	unix.Close(fds[0])
	<-done
	unix.Close(fds[1])
}

func BenchmarkCreate(b *testing.B) {
	for range b.N {
		s, err := Create(Config{})
		require.NoError(b, err)
		require.NoError(b, s.Close())
	}
}
