package checkpoint

import (
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// appendUntilRefused appends batches until the log ends and returns the last sequence number whose append returned nil.
func appendUntilRefused(w *Writer, batch, n int) (uint64, error) {
	for {
		for range batch {
			p, err := w.Reserve(1, n)
			if err == ErrFull {
				w.Discard()
				if err = w.WaitFree((batch+1)*(n+2*recordHeader), time.Minute); err == nil {
					break // and begin the batch anew; an empty Commit is harmless
				}
			}
			if err != nil {
				return w.Seq(), err
			}
			fill(p, w.seq)
		}
		if err := w.Commit(); err != nil {
			return w.Seq(), err
		}
	}
}

// The promise on which a takeover rests: every append that returned nil lies before the swap and is drained,
// every later one is refused.
func TestASwapPartsTheAppendsInTwo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, err := Create(Config{Size: MinSize, Epoch: 7})
		require.NoError(t, err)
		defer s.Close()
		w, r := s.Writer(nil), s.Reader()
		batch, n := rapid.IntRange(1, 8).Draw(t, "batch"), rapid.IntRange(0, 1000).Draw(t, "n")
		readFirst := rapid.IntRange(0, 600).Draw(t, "records read before the swap")
		how := rapid.SampledFrom([]State{Sealed, HandedOver, Closed}).Draw(t, "how")

		type outcome struct {
			seq uint64
			err error
		}
		done := make(chan outcome)
		go func() {
			seq, err := appendUntilRefused(w, batch, n)
			done <- outcome{seq, err}
		}()
		seq := uint64(0)
		read := func() error {
			rec, err := r.Next()
			if err == nil {
				seq++
				require.Equal(t, seq, rec.Seq)
				verify(t, rec.Payload, seq)
				r.Release()
			}
			return err
		}
		for range readFirst {
			for read() == io.EOF {
				runtime.Gosched()
			}
		}
		want := ErrSealed
		switch how {
		case Sealed:
			_, err = r.Seal()
		case HandedOver: // from another goroutine than the one that appends
			err = w.HandOver()
		case Closed:
			err, want = w.Close(), ErrClosed
		}
		require.NoError(t, err)
		for err == nil {
			err = read()
		}
		require.ErrorIs(t, err, io.EOF)
		got := <-done
		require.ErrorIs(t, got.err, want)
		require.Equal(t, got.seq, seq, "what the writer was promised and what the reader found differ")
		require.ErrorIs(t, read(), io.EOF, "something was committed after the swap")
		require.Equal(t, how, s.State())
	})
}

func TestOfManySwapsOneWins(t *testing.T) {
	t.Parallel()
	for range 300 {
		s := newLog(t, MinSize)
		w, r := s.Writer(nil), s.Reader()
		var sealErr, closeErr, handErr, commitErr error
		p, err := w.Reserve(1, 8)
		require.NoError(t, err)
		fill(p, 1)
		start := make(chan struct{})
		var all sync.WaitGroup
		for _, f := range []func(){
			func() { _, sealErr = r.Seal() },
			func() { closeErr = w.Close() },
			func() { handErr = w.HandOver() },
			func() { commitErr = w.Commit() },
		} {
			all.Go(func() { <-start; f() })
		}
		close(start)
		all.Wait()
		wantSeal, wantClose, wantHand, lost := error(nil), ErrSealed, ErrSealed, ErrSealed
		switch s.State() {
		case HandedOver:
			wantHand = nil
		case Closed:
			wantSeal, wantClose, wantHand, lost = ErrClosed, nil, ErrClosed, ErrClosed
		}
		require.ErrorIs(t, sealErr, wantSeal)
		require.ErrorIs(t, closeErr, wantClose)
		require.ErrorIs(t, handErr, wantHand)
		if kinds := drain(t, r); commitErr == nil {
			require.Equal(t, []Kind{1}, kinds)
		} else {
			require.ErrorIs(t, commitErr, lost)
			require.Empty(t, kinds)
		}
	}
}
