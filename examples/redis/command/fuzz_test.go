package command

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// FuzzHandle lets a client send whatever it likes.
func FuzzHandle(f *testing.F) {
	f.Add([]byte("SET a 1\r\nINCR a\r\nAPPEND a x\r\nSETRANGE a 3 y\r\nGETRANGE a -2 -1\r\n"))
	f.Add([]byte("RPUSH l a b c\r\nLINSERT l BEFORE b x\r\nLPOS l c RANK -1 COUNT 0\r\nLTRIM l 1 -2\r\nLMOVE l l LEFT RIGHT\r\n"))
	f.Add([]byte("ZADD z 1 a 2 b\r\nZRANGE z (1 +inf BYSCORE LIMIT 0 -1 WITHSCORES\r\nZRANGE z [a + BYLEX REV\r\nZPOPMAX z 3\r\n"))
	f.Add([]byte("SADD s a b\r\nSRANDMEMBER s -3\r\nSSCAN s 0 MATCH [a-\r\nSINTERSTORE d s s\r\nHSET h f 1\r\nHINCRBYFLOAT h f 1e400\r\n"))
	f.Add([]byte("WATCH a\r\nMULTI\r\nSET a 1\r\nEXEC\r\nCOPY a b DB 1\r\nSELECT 1\r\nFLUSHALL\r\nCONFIG GET *\r\nCOMMAND\r\nHELLO 2 SETNAME x\r\n"))
	f.Add(append(request("EXPIRE", "a", "-9223372036854775808", "NX"), request("INCRBYFLOAT", "a", "0x1p3")...))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newFake()
		s.maxValue = 1 << 20
		for n := 0; n < 100; n++ {
			size, err := resp.Cut(in, maxValue)
			if size == 0 || err != nil {
				break
			}
			s.handle(1, in[:size])
			in = in[size:]
		}
		other := newFake()
		s.store.StartWalk()
		for s.store.Walking() {
			chunk, _, err := s.store.NextChunk(nil, 1<<10)
			require.NoError(t, err)
			require.NoError(t, other.store.ApplyChunk(chunk))
		}
		require.Equal(t, s.store.Digest(), other.store.Digest(), "whatever was done is a state like any other")
	})
}
