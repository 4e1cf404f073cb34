package drill

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A server that answers at once but for an outage of 300 ms: every request that falls into it waits for its end.
func TestAnOutageIsFeltByAllRequestsThatFallIntoIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Pointer[time.Time]
		up.Store(&time.Time{})
		c := &Config{Rate: 1000, Clients: 4, Call: func(context.Context) error {
			time.Sleep(max(time.Until(*up.Load()), 0) + 10*time.Microsecond)
			return nil
		}}
		l := c.startLoad(t.Context())
		time.Sleep(c.runUp() + time.Millisecond/2)
		l.mark()
		end := time.Now().Add(300 * time.Millisecond)
		up.Store(&end)
		time.Sleep(time.Second)
		res := l.result()
		require.False(t, res.Void)
		require.Equal(t, 10*time.Microsecond, res.Usual)
		require.InDelta(t, 300*time.Millisecond, res.Silence, float64(2*time.Millisecond))
		require.InDelta(t, 300*time.Millisecond, res.Longest, float64(2*time.Millisecond))
		require.InDelta(t, 300, res.Affected, 3, "broken promise: requests count from the time at which they were to be sent")
	})
}

func TestAFaultWithoutTrafficBeforeItIsVoid(t *testing.T) {
	t.Parallel()
	res := judge([]request{{sent: 0, ended: 5}, {sent: 10, ended: 2000}}, 1000)
	require.True(t, res.Void)
	require.EqualValues(t, 1995, res.Silence)
	require.True(t, judge(nil, 0).Void)
}

func TestFaultsHaveNames(t *testing.T) {
	t.Parallel()
	for f := Kill; f <= Switch; f++ {
		back, err := ParseFault(f.String())
		require.NoError(t, err)
		require.Equal(t, f, back)
	}
	_, err := ParseFault("fire")
	require.ErrorContains(t, err, "expected kill, freeze or switch")
}
