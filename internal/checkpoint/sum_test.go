package checkpoint

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func checkSum(t tester, seed uint32, b []byte) {
	t.Helper()
	h := [recordHeader]byte{0: byte(seed), 7: byte(seed >> 8), 15: byte(seed >> 16), 23: byte(seed >> 24)}
	require.Equal(t, sumLong(&h, b), sum(&h, b), "checksum of %x after %x", b, h)
	room := bytes.Repeat([]byte{0xa5}, len(b)+16)
	require.Equal(t, sumLong(&h, b), copySum(&room[8], &h, b), "checksum of a copy of %x after %x", b, h)
	require.Equal(t, b, room[8:8+len(b)], "the copy")
	require.Equal(t, bytes.Repeat([]byte{0xa5}, 16), append(room[:8:8], room[8+len(b):]...), "nothing around it is touched")
}

func FuzzSum(f *testing.F) {
	f.Add(uint32(0), []byte("123456789"))
	f.Add(uint32(1), make([]byte, shortSum))
	f.Fuzz(func(t *testing.T, crc uint32, b []byte) { checkSum(t, crc, b) })
}
