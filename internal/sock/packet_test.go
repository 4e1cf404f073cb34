package sock

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestPacketsArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	buf := make([]byte, MaxPacket)
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 2000), 1, 20).Draw(t, "packets")
		for _, p := range sent {
			require.NoError(t, Send(a, p))
		}
		for _, p := range sent {
			n, err := Recv(b, buf)
			require.NoError(t, err)
			require.Equal(t, p, buf[:n])
		}
		_, err := Recv(b, buf)
		require.Equal(t, ErrAgain, err, "broken promise: returned bare")
	})
}

func TestLongestPacketFitsEverySocket(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	packet := bytes.Repeat([]byte("tandem! "), MaxPacket/8)
	require.NoError(t, Send(a, packet))
	buf := make([]byte, MaxPacket)
	n, err := Recv(b, buf)
	require.NoError(t, err)
	require.True(t, bytes.Equal(packet, buf[:n]))
}

func TestPacketLongerThanTheReceiversBufferIsLostNotCut(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	require.NoError(t, Send(a, []byte("too long")))
	require.NoError(t, Send(a, []byte("next")))
	n, err := Recv(b, make([]byte, 4))
	require.ErrorIs(t, err, ErrTooLong)
	require.Zero(t, n)
	require.Equal(t, "next", recvString(t, b))
}

func TestSenderIsToldWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	require.Equal(t, ErrEmpty, Send(a, nil))
	require.Equal(t, ErrEmpty, SendFDs(a, nil, b))
	require.ErrorIs(t, Send(a, make([]byte, 8<<20)), ErrTooLong)
	var err error
	for packets := 0; err == nil; packets++ {
		err = Send(a, make([]byte, 4096))
	}
	require.Equal(t, ErrAgain, err, "broken promise: returned bare")
	_, err = Recv(b, make([]byte, 4096))
	require.NoError(t, err)
}

func TestClosedPeerIsNoticedAfterAllItSaid(t *testing.T) {
	t.Parallel()
	for name, unread := range map[string]bool{"all read": false, "with packets unread": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t)
			require.NoError(t, Send(a, []byte("last")))
			require.NoError(t, Send(a, []byte("words")))
			if unread {
				require.NoError(t, Send(b, []byte("never read")))
			}
			replaceByNull(t, a)
			require.Equal(t, "last", recvString(t, b), "broken promise: what was sent before the end is read")
			n, _, err := RecvFDs(b, make([]byte, 8), 1)
			require.NoError(t, err)
			require.Equal(t, 5, n)
			_, err = Recv(b, make([]byte, 8))
			require.Equal(t, io.EOF, err)
			_, _, err = RecvFDs(b, make([]byte, 8), 1)
			require.Equal(t, io.EOF, err)
			require.ErrorIs(t, Send(b, []byte("anybody there?")), ErrPeerGone)
			require.ErrorIs(t, SendFDs(b, []byte("anybody there?"), b), ErrPeerGone)
		})
	}
}

func TestDescriptorsThatAreNoSocketsGiveErrors(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	replaceByNull(t, a)
	_, err := Recv(a, make([]byte, 8))
	require.ErrorIs(t, err, unix.ENOTSOCK)
	_, _, err = RecvFDs(a, make([]byte, 8), 1)
	require.ErrorIs(t, err, unix.ENOTSOCK)
	require.ErrorIs(t, Send(a, []byte("x")), unix.ENOTSOCK)
	_, err = Accept(a)
	require.ErrorIs(t, err, unix.ENOTSOCK)
	_, _, _, err = PeerCred(a)
	require.ErrorIs(t, err, unix.ENOTSOCK)
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	a, b := pair(t)
	packet, buf := make([]byte, 64), make([]byte, 128)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := Send(a, packet); err != nil {
			t.Error(err)
		}
		if _, err := Recv(b, buf); err != nil {
			t.Error(err)
		}
		if _, err := Recv(b, buf); !errors.Is(err, ErrAgain) {
			t.Error(err)
		}
	}))
}

func BenchmarkSendRecv64(b *testing.B) {
	x, y := pair(b)
	packet, buf := make([]byte, 64), make([]byte, 128)
	for b.Loop() {
		if err := Send(x, packet); err != nil {
			b.Fatal(err)
		}
		if _, err := Recv(y, buf); err != nil {
			b.Fatal(err)
		}
	}
}
