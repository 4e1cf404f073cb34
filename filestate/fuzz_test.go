package filestate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// Whatever a checkpoint says, a member either does it or refuses it; and what it refuses leaves the file alone.
func FuzzFileState(f *testing.F) {
	dir := f.TempDir()
	file, err := OpenFile(filepath.Join(dir, "file"), os.O_CREATE, 0)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, file.Close()) })
	own := file.State()
	for _, ops := range [][]Op{
		nil,
		{{Kind: OpWrite, ID: 1, Off: 3, Data: []byte("data")}, {Kind: OpSync, ID: 2}},
		{{Kind: OpTruncate, ID: 1, Off: 3}, {Kind: OpRename, ID: 2, From: own.Path, Path: own.Path + "2"}},
		{{Kind: OpWrite, Off: -1, Data: []byte("data")}, {Kind: 77}},
	} {
		st := own
		st.Pending = ops
		b, err := codec.Append(nil, st)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var st FileState
		if codec.Decode(b, &st) != nil {
			return
		}
		require.ErrorIs(t, file.SetState(FileState{Ino: 1, Pending: st.Pending}), ErrNotThis)
		st.Dev, st.Ino, st.Depth = own.Dev, own.Ino, own.Depth
		if file.SetState(st) != nil {
			return
		}
		buf := make([]byte, 100)
		_, _ = file.ReadAt(buf, 0)
		_, _ = file.ReadAt(buf, 1<<62)
		_ = file.Truncate(5)
		require.NoError(t, file.Undo())
		require.Equal(t, len(st.Pending), len(file.State().Pending))
	})
}

func FuzzConnState(f *testing.F) {
	for _, st := range []ConnState{{Network: "tcp"}, {Network: "unix", In: 5, Held: []byte("held"), Out: 7, Tail: []byte("tail"), Ends: true}} {
		b, err := codec.Append(nil, st)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var st ConnState
		if codec.Decode(b, &st) != nil {
			return
		}
		p := newTCPPair(t)
		defer p.peer.Close()
		c, err := OpenConn(p.fd)
		require.NoError(t, err)
		defer c.Close()
		st.Network = "tcp"
		require.NoError(t, c.SetState(st))
		_, err = c.Peek(make([]byte, 10))
		require.ErrorIs(t, err, errNotResumed)
		if err := c.Do(); err != nil {
			return
		}
		require.Zero(t, st.In, "nothing came")
		require.Equal(t, uint64(len(st.Tail)), st.Out, "nothing was sent before")
	})
}

func FuzzResult(f *testing.F) {
	b := make([]byte, resultSize)
	f.Add(b, uint64(1))
	encodeResult(b, &result{id: 3, kind: OpWrite, done: true, code: codeReplaced, off: 5, len: 7, size: 12})
	f.Add(b, uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, id uint64) {
		if len(b) < resultSize {
			return
		}
		r := decodeResult(b)
		again := make([]byte, resultSize)
		encodeResult(again, &r)
		require.Equal(t, r, decodeResult(again))
	})
}
