package checkpoint

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneWriterAndOneReaderInTheLifeOfALog(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	o := secondMapping(t, s)
	w, r := s.Writer(nil), o.Reader()
	for _, second := range []*Segment{s, o} {
		w2, r2 := second.Writer(nil), second.Reader()
		_, err := w2.Reserve(1, 8)
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorIs(t, w2.Commit(), ErrInUse)
		require.ErrorIs(t, w2.WaitFree(8, time.Hour), ErrInUse)
		require.ErrorIs(t, w2.Close(), ErrInUse)
		require.ErrorIs(t, w2.HandOver(), ErrInUse)
		require.Zero(t, w2.Free())
		_, err = r2.Next()
		require.ErrorIs(t, err, ErrInUse)
		_, err = r2.Seal()
		require.ErrorIs(t, err, ErrInUse)
	}
	put(t, w, 5, 8)
	require.Equal(t, []Kind{5}, drain(t, r))
	require.Equal(t, Live, s.State())
}

func TestOnlyTheFirstSwapCounts(t *testing.T) {
	t.Parallel()
	const seal, closing, handOver = 0, 1, 2
	for _, c := range []struct {
		name                      string
		first                     int
		state                     State
		commit, onClose, handOver error
		sealErr                   error
	}{
		{"sealed", seal, Sealed, ErrSealed, ErrSealed, ErrSealed, nil},
		{"closed", closing, Closed, ErrClosed, nil, ErrClosed, ErrClosed},
		{"handed over", handOver, HandedOver, ErrSealed, ErrSealed, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLog(t, MinSize)
			rung := 0
			w, r := s.Writer(func() { rung++ }), secondMapping(t, s).Reader()
			put(t, w, 1, 8)
			_, err := w.Reserve(2, 8) // never committed
			require.NoError(t, err)
			require.Equal(t, Live, r.State())
			switch c.first {
			case seal:
				_, err = r.Seal()
			case closing:
				err = w.Close()
			case handOver:
				err = w.HandOver()
				require.Equal(t, 1, rung, "the reader must hear of its new role")
			}
			require.NoError(t, err)
			for range 2 { // every answer is final
				require.ErrorIs(t, w.Commit(), c.commit)
				_, err = w.Reserve(3, 8)
				require.ErrorIs(t, err, c.commit)
				require.ErrorIs(t, w.WaitFree(8, time.Hour), c.commit)
				require.ErrorIs(t, w.Close(), c.onClose)
				require.ErrorIs(t, w.HandOver(), c.handOver)
				epoch, err := r.Seal()
				require.ErrorIs(t, err, c.sealErr)
				if c.sealErr == nil {
					require.Equal(t, uint32(8), epoch)
				}
				require.Equal(t, c.state, r.State())
				require.Equal(t, c.state, s.State())
			}
			require.Equal(t, uint64(1), w.Seq())
			require.Equal(t, []Kind{1}, drain(t, r), "what was committed stays, what was only reserved never was")
		})
	}
}

func TestACommitOfNothingStillTellsOfATakeover(t *testing.T) {
	t.Parallel()
	s := newLog(t, MinSize)
	w, r := s.Writer(nil), s.Reader()
	require.NoError(t, w.Commit())
	_, err := r.Seal()
	require.NoError(t, err)
	require.ErrorIs(t, w.Commit(), ErrSealed)
}
