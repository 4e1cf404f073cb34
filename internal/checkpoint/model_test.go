package checkpoint

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// modelRecord is a record as the model keeps it: its payload follows from seq and length.
type modelRecord struct {
	kind Kind
	seq  uint64
	n    int
}

// model is the log as a plain queue.
type model struct {
	pending, committed, returned []modelRecord
	seq                          uint64 // of the last committed record
}

func room(lists ...[]modelRecord) (sum int) {
	for _, l := range lists {
		for _, r := range l {
			sum += recordSize(r.n)
		}
	}
	return sum
}

// payloadSizes draws what a log carries: many small changes, some snapshot chunks between them, a few of the longest.
func payloadSizes(longest int) *rapid.Generator[int] {
	return rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, 200), rapid.IntRange(0, 9000), rapid.IntRange(longest-9, longest))
}

func TestALogIsAQueueWhateverTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, err := Create(Config{Size: MinSize, Epoch: rapid.Uint32().Draw(t, "epoch"), FirstSeq: 1})
		require.NoError(t, err)
		defer s.Close()
		// Near the end of the 48 bits the offset wraps within the run.
		beginAt(s, rapid.SampledFrom([]uint64{0, offsetMask + 1 - 3*MinSize, offsetMask - 7}).Draw(t, "offset"))
		var m model
		w, r := s.Writer(nil), s.Reader()
		var unfilled []byte // a payload need not be filled before the next call
		fillLast := func() {
			if len(m.pending) > 0 {
				fill(unfilled, m.pending[len(m.pending)-1].seq)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				rec := modelRecord{
					kind: Kind(rapid.IntRange(1, 255).Draw(t, "kind")), seq: m.seq + uint64(len(m.pending)) + 1,
					n: payloadSizes(w.MaxPayload()).Draw(t, "n"),
				}
				fillLast()
				p, err := w.Reserve(rec.kind, rec.n)
				if room(m.pending, m.committed, m.returned)+recordSize(rec.n) > MinSize {
					require.ErrorIs(t, err, ErrFull)
					return
				}
				require.NoError(t, err, "it fits")
				require.Len(t, p, rec.n)
				require.Equal(t, rec.n, cap(p), "an append to the payload must not reach the next record")
				m.pending, unfilled = append(m.pending, rec), p
			},
			"commit": func(t *rapid.T) {
				fillLast()
				require.NoError(t, w.Commit())
				m.seq += uint64(len(m.pending))
				m.committed, m.pending = append(m.committed, m.pending...), nil
			},
			"discard": func(*rapid.T) {
				w.Discard()
				m.pending = nil
			},
			"next": func(t *rapid.T) {
				rec, err := r.Next()
				if len(m.committed) == 0 {
					require.ErrorIs(t, err, io.EOF)
					return
				}
				require.NoError(t, err)
				want := m.committed[0]
				require.Equal(t, want, modelRecord{rec.Kind, rec.Seq, len(rec.Payload)})
				require.Equal(t, s.Epoch(), rec.Epoch)
				verify(t, rec.Payload, rec.Seq)
				m.returned, m.committed = append(m.returned, want), m.committed[1:]
			},
			"release": func(*rapid.T) {
				r.Release()
				m.returned = nil
			},
			"": func(t *rapid.T) {
				require.Equal(t, m.seq, w.Seq())
				require.Equal(t, room(m.committed), r.Unread())
				if n := w.Free(); n < w.MaxPayload() { // above it, it may be an older and lower answer
					left := MinSize - room(m.pending, m.committed, m.returned)
					require.Equal(t, max(0, left-recordHeader), n)
				}
			},
		})
		_, err = r.Seal()
		require.NoError(t, err)
		require.ErrorIs(t, w.Commit(), ErrSealed)
		for _, want := range m.committed {
			rec, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, want, modelRecord{rec.Kind, rec.Seq, len(rec.Payload)})
			verify(t, rec.Payload, rec.Seq)
		}
		_, err = r.Next()
		require.ErrorIs(t, err, io.EOF, "the drain must end with the last committed record")
	})
}

func TestTheCommitWordKeepsItsParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		epoch, offset := rapid.Uint32().Draw(t, "epoch"), rapid.Uint64().Draw(t, "offset")
		open := packWord(epoch, offset)
		require.Equal(t, Live, stateOf(open, epoch))
		require.Zero(t, distance(offset, open), "the offset is the low part of the word")
		for _, s := range []State{Sealed, HandedOver, Closed} {
			word := finalWord(epoch, s, offset)
			require.Equal(t, s, stateOf(word, epoch))
			require.Zero(t, distance(open, word), "a swap must not move the end of the log")
		}
		require.Equal(t, Broken, stateOf(packWord(epoch+2, offset), epoch))
		n := rapid.Uint64Range(0, MaxSize).Draw(t, "n")
		require.Equal(t, n, distance(offset, packWord(epoch, offset+n)))
	})
}
