package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// frames draws frames that Append accepts, most of them small.
func frames(t *rapid.T) []Frame {
	frame := rapid.Custom(func(t *rapid.T) Frame {
		return Frame{
			Kind:     Kind(rapid.IntRange(1, 255).Draw(t, "kind")),
			Flags:    rapid.Byte().Draw(t, "flags"),
			Priority: rapid.Byte().Draw(t, "priority"),
			ID:       rapid.Uint64().Draw(t, "id"),
			Low:      rapid.Uint64().Draw(t, "low"),
			Method:   rapid.SliceOfN(rapid.Byte(), 0, MaxMethod).Draw(t, "method"),
			Body:     rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body"),
		}
	})
	return rapid.SliceOfN(frame, 0, 8).Draw(t, "frames")
}

// seal makes a packet of fs behind what dst holds.
func seal(t require.TestingT, dst []byte, epoch uint32, fs ...Frame) []byte {
	pkt := Begin(dst)
	for i := range fs {
		var err error
		pkt, err = Append(pkt, &fs[i])
		require.NoError(t, err)
	}
	Finish(pkt[len(dst):], epoch)
	return pkt
}

// unseal returns copies of the frames of pkt.
func unseal(pkt []byte) (epoch uint32, fs []Frame, err error) {
	p, err := Parse(pkt)
	if err != nil {
		return 0, nil, err
	}
	for {
		var f Frame
		ok, err := p.Next(&f)
		if !ok {
			return p.Epoch(), fs, err
		}
		f.Method, f.Body = bytes.Clone(f.Method), bytes.Clone(f.Body)
		fs = append(fs, f)
	}
}

func TestWhatIsPackedIsUnpacked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent, epoch := frames(t), rapid.Uint32().Draw(t, "epoch")
		before := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes before the packet")
		// A buffer that was used before, so that padding which is not cleared would show.
		dst := append(bytes.Repeat([]byte{0xee}, 4096)[:0], before...)

		b := seal(t, dst, epoch, sent...)
		require.Equal(t, before, b[:len(before)], "what stood before the packet was changed")
		pkt := b[len(before):]

		gotEpoch, got, err := unseal(pkt)
		require.NoError(t, err, "a packet just made was refused")
		require.Equal(t, epoch, gotEpoch)
		require.Len(t, got, len(sent))
		size := packetHeader
		for i := range sent {
			require.Equal(t, sent[i], got[i], "frame %d changed on the way", i)
			size += AppendSize(&sent[i])
		}
		require.Len(t, pkt, size, "AppendSize did not tell the truth")
		require.Equal(t, pkt, seal(t, nil, epoch, got...), "the same frames gave other bytes")
	})
}

// The bytes of version 1. Whoever changes them changes Version too.
func TestLayoutIsTheOneDocumented(t *testing.T) {
	t.Parallel()
	want := []byte{
		0x93, 0xbc, 0xc3, 0xa2, 'T', 'd', 1, 0, 40, 0, 0, 0, 7, 0, 0, 0,
		4, 0, 8, 3, 2, 0, 0, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0, 0, 0,
		't', 'r', 'a', 'n', 's', 'f', 'e', 'r', 0x81, 0xc0, 0, 0, 0, 0, 0, 0,
	}
	got := seal(t, nil, 7, Frame{
		Kind: KindRequest, Priority: 3, ID: 42, Low: 41, Method: []byte("transfer"), Body: []byte{0x81, 0xc0},
	})
	require.Equal(t, want, got)
}

func TestEveryCutPacketIsRefused(t *testing.T) {
	t.Parallel()
	pkt := seal(t, nil, 1, Frame{Kind: KindRequest, ID: 1, Method: []byte("get"), Body: []byte("0123456789")}, Frame{Kind: KindPing})
	for n := range pkt {
		_, err := Parse(pkt[:n])
		require.ErrorIs(t, err, ErrTruncated, "cut to %d of %d bytes", n, len(pkt))
	}
}

func TestEveryLengthenedPacketIsRefused(t *testing.T) {
	t.Parallel()
	pkt := seal(t, nil, 1, Frame{Kind: KindPing})
	for range 100 {
		pkt = append(pkt, 0)
		_, err := Parse(pkt)
		require.ErrorIs(t, err, ErrTooLong)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	pkt := seal(t, nil, 1, Frame{Kind: KindRequest, ID: 1, Method: []byte("get"), Body: []byte("0123456789")})
	for bit := range len(pkt) * 8 {
		damaged := bytes.Clone(pkt)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := Parse(damaged)
		require.Error(t, err, "bit %d of byte %d was flipped, and the packet taken", bit%8, bit/8)
	}
}

func TestARefusalSaysWhatWasExpected(t *testing.T) {
	t.Parallel()
	whole := func() []byte { return seal(t, nil, 1, Frame{Kind: KindPing, ID: 9}) }
	for name, c := range map[string]struct {
		forge func() []byte
		want  error
		says  string
	}{
		"nothing":       {func() []byte { return nil }, ErrTruncated, "0 bytes, a header has 16"},
		"half a header": {func() []byte { return whole()[:15] }, ErrTruncated, "15 bytes, a header has 16"},
		"too large":     {func() []byte { return make([]byte, MaxPacket+1) }, ErrTooLong, "131073 bytes, at most 131072 are allowed"},
		"other protocol": {func() []byte { return []byte("GET / HTTP/1.1\r\nHost: bank\r\n\r\n") }, ErrMagic,
			`bytes 4 and 5 are "/ ", want "Td"`},
		"other version": {func() []byte { p := whole(); p[6] = 2; return p }, ErrVersion, "version 2, want 1"},
		"cut":           {func() []byte { return whole()[:39] }, ErrTruncated, "23 bytes after the header, want 24"},
		"lengthened":    {func() []byte { return append(whole(), 0) }, ErrTooLong, "25 bytes after the header, want 24"},
		"length of 4 GiB": {func() []byte { p := whole(); binary.LittleEndian.PutUint32(p[8:], 1<<32-1); return p }, ErrTruncated,
			"24 bytes after the header, want 4294967295"},
		"damaged": {func() []byte { p := whole(); binary.LittleEndian.PutUint32(p, 5); return p }, ErrChecksum,
			"checksum 0x00000005, want 0x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(c.forge())
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, "cannot read packet: ")
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A peer that seals nonsense has a right checksum. The frames before the nonsense are returned, and nothing after it.
func TestASealedFrameThatLiesIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forge func(frame []byte) []byte // the second of two frames: 24 bytes of header, then "abc" and "xy", padded to 32
		want  error
		says  string
	}{
		"half a frame header":       {func(f []byte) []byte { return f[:16] }, ErrTruncated, "16 bytes left, a frame's header has 24"},
		"method beyond the packet":  {func(f []byte) []byte { f[2] = 7; return f }, ErrTruncated, "32 bytes left, the frame has 40"},
		"body beyond the packet":    {func(f []byte) []byte { f[4] = 6; return f }, ErrTruncated, "32 bytes left, the frame has 40"},
		"body of 4 GiB":             {func(f []byte) []byte { copy(f[4:], "\xff\xff\xff\xff"); return f }, ErrTruncated, "the frame has 4294967"},
		"padding beyond the packet": {func(f []byte) []byte { return f[:29] }, ErrTruncated, "29 bytes left, the frame has 32"},
		"no kind":                   {func(f []byte) []byte { f[0] = 0; return f }, ErrKind, "frame without a kind"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := Frame{Kind: KindPing, ID: 1, Method: []byte{}, Body: []byte{}}
			pkt := seal(t, nil, 1, good, Frame{Kind: KindReply, Method: []byte("abc"), Body: []byte("xy")})
			at := packetHeader + AppendSize(&good)
			pkt = append(pkt[:at], c.forge(pkt[at:])...)
			Finish(pkt, 1)

			p, err := Parse(pkt)
			require.NoError(t, err)
			var f Frame
			ok, err := p.Next(&f)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, good, f)

			ok, err = p.Next(&f)
			require.False(t, ok)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, "cannot read frame: ")
			require.ErrorContains(t, err, c.says)
			require.Equal(t, good, f, "a refused frame left traces")

			ok, err = p.Next(&f)
			require.NoError(t, err)
			require.False(t, ok, "the packet went on after an error")
		})
	}
}

func TestTheLargestFrameFitsAPacketAndALargerOneIsRefused(t *testing.T) {
	t.Parallel()
	largest := Frame{Kind: KindRequest, Method: make([]byte, MaxMethod), Body: make([]byte, MaxBody)}
	require.True(t, Fits(Begin(nil), &largest))
	pkt := seal(t, nil, 1, largest)
	_, got, err := unseal(pkt)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.False(t, Fits(pkt, &largest), "two of them do not fit")

	dst := []byte("before")
	for _, f := range []Frame{
		{Kind: KindRequest, Method: make([]byte, MaxMethod+1)},
		{Kind: KindRequest, Body: make([]byte, MaxBody+1)},
	} {
		got, err := Append(dst, &f)
		require.ErrorIs(t, err, ErrTooLong)
		require.Equal(t, dst, got)
		got, err = Pack(dst, 1, &f)
		require.ErrorIs(t, err, ErrTooLong)
		require.Equal(t, dst, got)
	}
}

func TestFitsIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := Frame{Kind: KindReply, Body: make([]byte, rapid.IntRange(0, 40_000).Draw(t, "body"))}
		pkt := Begin(nil)
		for Fits(pkt, &f) {
			var err error
			pkt, err = Append(pkt, &f)
			require.NoError(t, err)
		}
		Finish(pkt, 1)
		_, err := Parse(pkt)
		require.NoError(t, err, "what fits was refused")

		pkt, err = Append(pkt, &f)
		require.NoError(t, err)
		Finish(pkt, 1)
		_, err = Parse(pkt)
		require.ErrorIs(t, err, ErrTooLong, "one more would have fitted")
	})
}

func TestPackMakesOnePacket(t *testing.T) {
	t.Parallel()
	f := Frame{Kind: KindRefuse, Low: ^uint64(59), Method: []byte{}, Body: []byte("no such open")}
	b, err := Pack([]byte("before"), 3, &f)
	require.NoError(t, err)
	require.Equal(t, "before", string(b[:6]))
	epoch, got, err := unseal(b[6:])
	require.NoError(t, err)
	require.Equal(t, uint32(3), epoch)
	require.Equal(t, []Frame{f}, got)
	require.Equal(t, int64(-60), got[0].Code())
}

func TestAFrameCannotBeExtendedIntoItsNeighbour(t *testing.T) {
	t.Parallel()
	pkt := seal(t, nil, 1, Frame{Kind: KindReply, Method: []byte("m"), Body: []byte("b")}, Frame{Kind: KindPing, ID: 5})
	p, err := Parse(pkt)
	require.NoError(t, err)
	var f Frame
	_, err = p.Next(&f)
	require.NoError(t, err)
	_, _ = append(f.Method, "xxxxxxxx"...), append(f.Body, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"...)
	require.Equal(t, "b", string(f.Body), "appending to the method overwrote the body")
	ok, err := p.Next(&f)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, uint64(5), f.ID, "appending to a body overwrote the next frame")
}

func TestTheZeroPacketHasNoFrames(t *testing.T) {
	t.Parallel()
	var p Packet
	ok, err := p.Next(new(Frame))
	require.NoError(t, err)
	require.False(t, ok)
}

func TestEveryKindHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	var names []string
	for k := KindHello; k <= KindPing; k++ {
		require.NotContains(t, k.String(), "kind ", "kind %d has no name", k)
		require.False(t, slices.Contains(names, k.String()), "%s twice", k)
		names = append(names, k.String())
	}
	require.Equal(t, "kind 0", Kind(0).String())
	require.Equal(t, "kind 200", Kind(200).String())
}

// Not parallel: AllocsPerRun counts what other tests allocate.
func TestARequestIsPackedAndUnpackedWithoutAllocation(t *testing.T) {
	buf := make([]byte, 0, 256)
	req := Frame{Kind: KindRequest, ID: 1, Method: []byte("transfer"), Body: make([]byte, 64)}
	var got Frame
	allocs := testing.AllocsPerRun(100, func() {
		pkt, err := Pack(buf, 1, &req)
		if err != nil {
			panic(err)
		}
		p, err := Parse(pkt)
		if err != nil {
			panic(err)
		}
		if ok, err := p.Next(&got); !ok || err != nil {
			panic("no frame")
		}
	})
	require.Zero(t, allocs)
}
