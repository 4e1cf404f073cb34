package checkpoint

import (
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// handedOver returns the two sides of a log with one record that its writer has handed over.
func handedOver(t *testing.T) (*Writer, *RingReader) {
	t.Helper()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), secondMapping(t, s).Reader()
	put(t, w, 1, 8)
	require.NoError(t, w.HandOver())
	epoch, err := r.Seal()
	require.NoError(t, err)
	require.Equal(t, uint32(8), epoch)
	require.Equal(t, HandedOver, r.State(), "to look at the new epoch is not to confirm it")
	return w, r
}

func TestAConfirmedHandOverCannotBeTakenBack(t *testing.T) {
	t.Parallel()
	w, r := handedOver(t)
	for range 2 {
		require.NoError(t, r.Confirm())
		_, err := w.TakeBack()
		require.ErrorIs(t, err, ErrSealed)
		require.ErrorIs(t, w.Commit(), ErrSealed)
		require.ErrorIs(t, w.Close(), ErrSealed)
		require.Equal(t, Sealed, r.State())
	}
	require.Equal(t, []Kind{1}, drain(t, r))
}

func TestAReaderCannotConfirmWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	w, r := handedOver(t)
	for range 2 {
		epoch, err := w.TakeBack()
		require.NoError(t, err)
		require.Equal(t, uint32(9), epoch, "the epoch of the hand-over is never used again")
		require.ErrorIs(t, r.Confirm(), ErrClosed)
		_, err = r.Seal()
		require.ErrorIs(t, err, ErrClosed, "the reader can never take over")
		require.ErrorIs(t, w.Commit(), ErrClosed, "this log has ended")
		require.ErrorIs(t, w.HandOver(), ErrClosed)
		require.NoError(t, w.Close(), "the reader is out")
		require.Equal(t, TakenBack, r.State())
	}
	require.Equal(t, []Kind{1}, drain(t, r), "the end of the log does not move")
	_, err := r.Next()
	require.ErrorIs(t, err, io.EOF)
}

func TestOnlyAHandOverIsTakenBackOrConfirmed(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), s.Reader()
	_, err := w.TakeBack()
	require.Error(t, err)
	require.Error(t, r.Confirm())
	require.Equal(t, Live, s.State())
	put(t, w, 1, 8)
	second := s.Writer(nil)
	require.NoError(t, w.HandOver())
	_, err = second.TakeBack()
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorIs(t, s.Reader().Confirm(), ErrInUse)
	require.Equal(t, HandedOver, s.State())
}

func TestAHandOverHasOneEnd(t *testing.T) {
	t.Parallel()
	for range 300 {
		w, r := handedOver(t)
		start := make(chan struct{})
		var takeErr, confirmErr error
		var both sync.WaitGroup
		both.Go(func() { <-start; _, takeErr = w.TakeBack() })
		both.Go(func() { <-start; confirmErr = r.Confirm() })
		close(start)
		both.Wait()
		if r.State() == Sealed {
			require.NoError(t, confirmErr)
			require.ErrorIs(t, takeErr, ErrSealed)
		} else {
			require.NoError(t, takeErr)
			require.ErrorIs(t, confirmErr, ErrClosed)
		}
	}
}
