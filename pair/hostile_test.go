package pair_test

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// Peers that do not speak as they should: their connection is closed, with the reason in the log, and nobody else notices.

// hello is a good packet for a test to spoil.
func hello(t *testing.T) []byte {
	t.Helper()
	body, err := wire.Marshal(&wire.Hello{Role: wire.RoleRequester, Name: "ledger", Depth: 8})
	require.NoError(t, err)
	pkt, err := wire.Pack(nil, 0, &wire.Frame{Kind: wire.KindHello, Body: body})
	require.NoError(t, err)
	return pkt
}

// resealed gives a packet the right checksum again, so that what is behind it is what is refused.
func resealed(b []byte) []byte {
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func TestAPeerThatSpeaksGarbageIsCutOff(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	l := newLoad(t, p, 2).run(2)
	noise := make([]byte, 4000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	spoilt := map[string]func([]byte) []byte{
		"noise":             func([]byte) []byte { return noise },
		"one byte":          func([]byte) []byte { return []byte{1} },
		"cut":               func(b []byte) []byte { return b[:len(b)-8] },
		"cut in its header": func(b []byte) []byte { return b[:10] },
		"too long":          func(b []byte) []byte { return append(b, make([]byte, wire.MaxPacket)...)[:wire.MaxPacket+8] },
		"longer than said":  func(b []byte) []byte { return append(b, 0, 0, 0, 0, 0, 0, 0, 0) },
		"another version":   func(b []byte) []byte { b[6] = 99; return resealed(b) },
		"another magic":     func(b []byte) []byte { b[4] = 'X'; return resealed(b) },
		"a bad checksum":    func(b []byte) []byte { b[len(b)-9] ^= 1; return b },
		"no kind":           func(b []byte) []byte { b[16] = 0; return resealed(b) },
		"a body too long":   func(b []byte) []byte { b[21] = 0xff; return resealed(b) },
	}
	for what, spoil := range spoilt {
		r := connectRaw(t, p)
		r.sendBytes(spoil(slices.Clone(hello(t))))
		r.closed()
		require.NotEmpty(t, what)
	}
	for _, f := range []wire.Frame{ // well-formed, and out of place
		{Kind: wire.KindRequest, ID: 1, Method: []byte("enter")},
		{Kind: wire.KindReply, ID: 1},
		{Kind: wire.KindSynced},
		{Kind: wire.KindHello, Body: []byte("not msgpack")},
		{Kind: wire.KindJoin, Body: []byte{0x81, 0xff}},
		{Kind: 200},
	} {
		r := connectRaw(t, p)
		r.send(f)
		r.closed()
	}
	p.WaitLogs("connection closed", len(spoilt))
	l.await(10)
	s := p.WaitProtected()
	require.Zero(t, s.Takeovers, "broken promise: the pair lives")
	l.finish()
	l.unbroken()
}

// The same from one that has an open: its open is another's in nothing.
func TestARequesterThatTurnsHostileHarmsNobody(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	l := newLoad(t, p, 2).run(2)
	r := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 8})
	r.send(
		wire.Frame{Kind: wire.KindRequest, ID: 1, Low: 1, Method: []byte("enter"), Body: []byte{0xc1}},
		wire.Frame{Kind: wire.KindRequest, ID: 2, Low: 1, Method: []byte("timer\x00alarm"), Body: []byte{1}},
		wire.Frame{Kind: wire.KindRequest, ID: 3, Low: 1, Method: []byte("no such")},
		wire.Frame{Kind: wire.KindRequest, ID: 0, Low: 9, Method: []byte("try"), Body: []byte{0xc0}},
		wire.Frame{Kind: wire.KindRequest, ID: 1 << 63, Low: 1, Method: []byte("try"), Body: []byte{0xc0}},
		wire.Frame{Kind: wire.KindRequest, ID: 4, Low: 1 << 63, Method: []byte("try"), Body: []byte{0xc0}},
		wire.Frame{Kind: wire.KindCancel, ID: 77},
	)
	codes := map[uint64]int64{}
	for len(codes) < 6 {
		f := r.next()
		codes[f.ID] = f.Code()
	}
	badRequest, _ := receive.Describe(receive.ErrBadRequest)
	invalid, _ := receive.Describe(receive.ErrInvalidOperation)
	noMethod, _ := receive.Describe(receive.ErrNoMethod)
	require.EqualValues(t, badRequest, codes[1])
	require.EqualValues(t, invalid, codes[2], "broken promise: a requester cannot fire timers")
	require.EqualValues(t, noMethod, codes[3])

	w := r.welcome
	w.Cookie++
	thief := connectRaw(t, p)
	body, err := wire.Marshal(&wire.Hello{Role: wire.RoleRequester, Name: p.Name(), Instance: w.Instance, Opener: w.Opener, Cookie: w.Cookie})
	require.NoError(t, err)
	thief.send(wire.Frame{Kind: wire.KindHello, Body: body})
	said := thief.closed()
	require.Len(t, said, 1)
	require.Equal(t, wire.KindRefuse, said[0].Kind, "broken promise: an open belongs to who knows its cookie")

	r.sendBytes([]byte("garbage"))
	r.closed()
	p.Kill(p.WaitProtected().Primary)
	l.await(10)
	l.finish()
	l.unbroken()
}
