package wire

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParse: what Parse and Next accept has the same frames when it is packed again, and nothing else is accepted.
// The input is tried as it is, and with its header repaired, so that the fuzzer gets past the checksum.
func FuzzParse(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(seal(f, nil, 1))
	f.Add(seal(f, nil, 2, Frame{Kind: KindRequest, ID: 7, Low: 7, Method: []byte("transfer"), Body: []byte("\x81\xa1x\x01")}))
	f.Add(seal(f, nil, 3, Frame{Kind: KindNotice, Flags: FlagPlanned}, Frame{Kind: KindReply, ID: 1, Body: []byte("late")}))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		checkPacket(t, pkt)
		if len(pkt) >= packetHeader {
			repaired := bytes.Clone(pkt)
			Finish(repaired, binary.LittleEndian.Uint32(pkt[12:]))
			checkPacket(t, repaired)
		}
	})
}

func checkPacket(t *testing.T, pkt []byte) {
	original := bytes.Clone(pkt)
	epoch, fs, err := unseal(pkt)
	require.Equal(t, original, pkt, "reading changed the packet")
	if err != nil {
		return
	}
	again := seal(t, nil, epoch, fs...)
	require.Len(t, again, len(pkt), "the frames do not fill the packet")
	epoch2, fs2, err := unseal(again)
	require.NoError(t, err)
	require.Equal(t, epoch, epoch2)
	require.Equal(t, fs, fs2)
}

// fuzzBody: no input makes a decoder panic, and what it accepts survives another trip.
func fuzzBody[T any](f *testing.F, seed T) {
	b, err := Marshal(seed)
	require.NoError(f, err)
	f.Add(b)
	for _, b := range hostile() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var body, again T
		if Unmarshal(b, &body) != nil {
			return
		}
		b, err := Marshal(body)
		require.NoError(t, err)
		require.NoError(t, Unmarshal(b, &again))
		require.Equal(t, body, again)
	})
}

func FuzzHello(f *testing.F) {
	fuzzBody(f, Hello{Role: RoleMember, Name: "bank", Depth: 64, Window: 8, Instance: "a", Opener: 1, Cookie: 2, PID: 3, Start: 4})
}

func FuzzWelcome(f *testing.F) {
	fuzzBody(f, Welcome{Instance: "a", Epoch: 1, Opener: 2, Cookie: 3, Depth: 4, PID: 5})
}

func FuzzJoin(f *testing.F) {
	fuzzBody(f, Join{Version: 1, PID: 2, Start: 3, Instance: "a", Spawned: true})
}

func FuzzAdmit(f *testing.F) {
	fuzzBody(f, Admit{Instance: "a", Epoch: 1, Seq: 2, PID: 3, Start: 4, TIDs: []int{5}, Openers: 6})
}

func FuzzJoined(f *testing.F) { fuzzBody(f, Joined{TIDs: []int{1, 1 << 22}}) }
