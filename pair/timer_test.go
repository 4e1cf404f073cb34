package pair_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// T18: timers outlive the primary that armed them. On NonStop they must be armed again (Guardian Programmer's Guide 27-4).
func TestT18TimersFireOnceAfterATakeover(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 5))
		c := p.Dial()
		arm := func(name string, after time.Duration) uint64 {
			t.Helper()
			id, err := receive.Call[uint64](t.Context(), c, "arm", Alarm{After: after, Name: name})
			require.NoError(t, err)
			return id
		}
		const soon = 300 * time.Millisecond
		arm("at once", 0)
		arm("late", time.Hour)
		arm("fails", soon)
		cancelled := arm("cancelled", soon)
		for range 20 {
			arm("soon", soon)
		}
		was, err := receive.Call[bool](t.Context(), c, "disarm", cancelled)
		require.NoError(t, err)
		require.True(t, was)

		p.Kill(p.WaitProtected().Primary)
		p.WaitProtected()
		require.NoError(t, p.Switch())
		armed := func() int {
			n, err := receive.Call[int](t.Context(), c, "armed", nil)
			require.NoError(t, err)
			return n
		}
		for end := time.Now().Add(patience); armed() > 1; time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(end), "broken promise: timers fire after a takeover; %d are armed", armed())
		}
		p.Kill(p.WaitProtected().Primary) // and what has fired has fired
		fired, err := receive.Call[map[string]int64](t.Context(), c, "fired", nil)
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"at once": 1, "soon": 20}, fired, "broken promise: a timer fires once; one that fails changes nothing")
		require.Equal(t, 1, armed(), "the late one")
	})
}
