package subject

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhatIsComputedDependsOnTheRequestAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, x := rapid.Uint64Range(0, 1000).Draw(t, "n"), rapid.Uint64().Draw(t, "x")
		require.Equal(t, Spin(n, x), Spin(n, x), "broken promise: a backup that computes gets the same")
		require.Equal(t, Spin(n, x), Spin(n-n/2, Spin(n/2, x)))
	})
}

func TestMoreComputingIsMoreSteps(t *testing.T) {
	t.Parallel()
	require.Positive(t, SpinsPer(time.Microsecond))
	require.Zero(t, SpinsPer(0))
}

func TestARequestOnAStreamIsCutWhole(t *testing.T) {
	t.Parallel()
	p := protocol(func(w Work) uint64 { return uint64(w.Key) + w.Spins })
	for have := range 3 * streamRequest {
		n, err := p.Cut(make([]byte, have))
		require.NoError(t, err)
		if have < streamRequest {
			require.Zero(t, n)
		} else {
			require.Equal(t, streamRequest, n)
		}
	}
	req := make([]byte, streamRequest)
	req[0], req[8] = 7, 30
	reply, err := p.Handle(nil, req, []byte{1})
	require.NoError(t, err)
	require.Equal(t, []byte{1, 37, 0, 0, 0, 0, 0, 0, 0}, reply)
}

func TestWhatAMemberIsStartedWithIsWhatItReads(t *testing.T) {
	t.Parallel()
	want := Config{Alone: true, TouchMiB: 3, HangAfter: time.Second, SnapshotEvery: 10, Listen: true}
	profile := ""
	c := ServiceProcess(&profile)
	require.NoError(t, c.ParseFlags(want.args("bank")))
	for flag, value := range map[string]string{"name": "bank", "alone": "true", "touch": "3", "hang-after": "1s", "snapshot-every": "10", "listen": "true", "mode": "primary-computes"} {
		require.Equal(t, value, c.Flags().Lookup(flag).Value.String(), flag)
	}
}
