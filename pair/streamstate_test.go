package pair

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// wire is what the kernel holds of a connection: the bytes the client has sent, and how far either direction is.
type streamWire struct {
	read, written int
	got           []byte // by the client
}

// Whatever the order of requests, pieces, partial writes, deaths and fillings, the client gets the replies it would have
// got from a server that never dies, and not a byte of its requests is taken twice or left.
func TestAStreamIsTheSameToItsClientWhoeverServesIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		primary := &stream{id: streamID(1, 1), remote: "client", addr: "here"}
		backup := &stream{}
		restoreAll(t, primary, backup)
		var k streamWire
		var want []byte
		in := 0 // bytes the client has sent that belong to whole requests or pieces taken in
		bytesOf := rapid.SliceOfN(rapid.Byte(), 0, 20)
		t.Repeat(map[string]func(*rapid.T){
			"handle": func(t *rapid.T) {
				in += rapid.IntRange(1, 9).Draw(t, "length")
				reply := bytesOf.Draw(t, "reply")
				low := primary.written()
				primary.handled(uint64(in), reply, false)
				backup.heard(low)
				backup.handled(uint64(in), reply, false)
				want = append(want, reply...)
			},
			"hold": func(t *rapid.T) {
				piece := rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "piece")
				interim := bytesOf.Draw(t, "interim")
				in += len(piece)
				low := primary.written()
				primary.holds(uint64(in), piece, interim)
				backup.heard(low)
				backup.holds(uint64(in), piece, interim)
				want = append(want, interim...)
			},
			"write": func(t *rapid.T) {
				n := rapid.IntRange(0, len(primary.tail)).Draw(t, "bytes")
				k.got = append(k.got, primary.tail[:n]...)
				k.written += n
				primary.wrote(primary.written() + uint64(n))
			},
			"consume": func(*rapid.T) {
				k.read, primary.taken = in, primary.in
			},
			"fill": func(t *rapid.T) {
				backup = &stream{}
				restoreAll(t, primary, backup)
			},
			"die": func(t *rapid.T) {
				// The last thing the dead primary did, and nobody heard of.
				n := rapid.IntRange(0, len(primary.tail)).Draw(t, "bytes of a last write")
				k.got = append(k.got, primary.tail[:n]...)
				k.written += n
				if rapid.Bool().Draw(t, "and consumed") {
					k.read = in
				}
				discard, err := backup.recover(uint64(k.read), uint64(k.written))
				require.NoError(t, err)
				k.read += discard
				primary, backup = backup, &stream{}
				restoreAll(t, primary, backup)
			},
			"": func(t *rapid.T) {
				require.Equal(t, primary.in, uint64(in))
				require.Equal(t, primary.out, backup.out, "broken promise: the backup knows every reply")
				require.Equal(t, primary.in, backup.in)
				require.True(t, bytes.Equal(primary.held, backup.held))
				require.LessOrEqual(t, backup.written(), primary.written())
				require.LessOrEqual(t, k.read, in)
				require.True(t, bytes.Equal(want, append(bytes.Clone(k.got), primary.tail...)), "broken promise: the client gets every byte of every reply once")
			},
		})
	})
}

// restoreAll describes from to to, in parts of any size.
func restoreAll(t *rapid.T, from, to *stream) {
	from.parts(rapid.IntRange(1, 30).Draw(t, "bytes in a record"), func(r commitRecord) bool {
		b := make([]byte, r.size())
		r.put(b)
		var again commitRecord
		require.NoError(t, again.parse(b))
		require.NoError(t, to.restore(&again))
		return true
	})
	require.Equal(t, from.names(), to.names())
}

func TestAStreamIsNotWhereTheRecordsSay(t *testing.T) {
	t.Parallel()
	s := &stream{}
	s.handled(10, []byte("reply"), false)
	for _, at := range [][2]uint64{{11, 0}, {0, 6}} {
		_, err := s.recover(at[0], at[1])
		require.ErrorIs(t, err, errPositions)
	}
	s.wrote(3)
	_, err := s.recover(10, 2)
	require.ErrorIs(t, err, errPositions, "what is not kept any more cannot be written again")
}

func TestAMalformedStreamRecordIsRefused(t *testing.T) {
	t.Parallel()
	good := (&stream{id: streamID(1, 2), remote: "r", addr: "a"}).record(nil, nil, false)
	for name, spoil := range map[string]func(*commitRecord){
		"not a stream":    func(r *commitRecord) { r.opener = 2 },
		"names too long":  func(r *commitRecord) { r.code = 1 << 40 },
		"names too short": func(r *commitRecord) { r.code = 1 << streamNames },
		"negative":        func(r *commitRecord) { r.code = -1 },
	} {
		r := good
		spoil(&r)
		require.ErrorIs(t, (&stream{}).restore(&r), errMalformedRecord, name)
	}
}
