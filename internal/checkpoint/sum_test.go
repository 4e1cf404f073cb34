package checkpoint

import (
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

func checkSum(t tester, crc uint32, b []byte) {
	t.Helper()
	require.Equal(t, crc32.Update(crc, castagnoli, b), sum(crc, b), "CRC-32C of %x from %#x", b, crc)
}

func FuzzSum(f *testing.F) {
	f.Add(uint32(0), []byte("123456789"))
	f.Add(uint32(1), make([]byte, shortSum))
	f.Fuzz(func(t *testing.T, crc uint32, b []byte) { checkSum(t, crc, b) })
}
