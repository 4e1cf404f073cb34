package checkpoint

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
	Fatalf(format string, args ...any)
}

// newLog makes a small log that is gone when the test is.
func newLog(t testing.TB, size int) *Segment {
	t.Helper()
	s, err := Create(Config{Size: size, Instance: [16]byte{1, 2, 3}, Epoch: 7})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// secondMapping opens the log once more, as the other process does.
func secondMapping(t testing.TB, s *Segment) *Segment {
	t.Helper()
	o, err := Open(s.FD())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

// beginAt makes an empty log look as if so many bytes had gone through it. Before Writer and Reader.
func beginAt(s *Segment, offset uint64) {
	s.page.word.Store(packWord(s.epoch, offset))
	s.page.tail.Store(offset & offsetMask)
}

// fill makes a payload that is different for every seq, and verify knows it again.
func fill(p []byte, seq uint64) {
	for i := range p {
		p[i] = byte(seq*31 + uint64(i)*7)
	}
}

func verify(t tester, p []byte, seq uint64) {
	t.Helper()
	for i, b := range p {
		if b != byte(seq*31+uint64(i)*7) {
			t.Fatalf("record %d is not what was appended: byte %d of %d differs", seq, i, len(p))
		}
	}
}

// put appends one record of n bytes and commits it.
func put(t tester, w *Writer, kind Kind, n int) {
	t.Helper()
	p, err := w.Reserve(kind, n)
	require.NoError(t, err)
	fill(p, w.Seq()+1)
	require.NoError(t, w.Commit())
}

// drain reads until nothing more is committed and returns the kinds it saw.
func drain(t tester, r *RingReader) (kinds []Kind) {
	t.Helper()
	for {
		seq := r.seq
		rec, err := r.Next()
		if err == io.EOF {
			r.Release()
			return kinds
		}
		require.NoError(t, err)
		require.Equal(t, seq, rec.Seq)
		verify(t, rec.Payload, rec.Seq)
		kinds = append(kinds, rec.Kind)
	}
}
