package receive

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNothingIsLeftOpen(t *testing.T) { // not parallel: it counts descriptors
	p := serveFake(t)
	once := func() {
		c, err := Dial(t.Context(), "bank", RunDir(p.root))
		require.NoError(t, err)
		for range 3 {
			write(t, c, "echo", "x")
			p.dropConns()
		}
		require.NoError(t, c.Close())
		_, err = Dial(t.Context(), "bank", RunDir(p.root+"x"), RetryFor(0))
		require.True(t, errors.Is(err, ErrPathDown))
	}
	once()
	before := descriptors(t, p)
	for range 5 {
		once()
	}
	require.Equal(t, before, descriptors(t, p))
}

// descriptors counts the open ones once the server has noticed who is gone.
func descriptors(t *testing.T, p *fakePair) int {
	t.Helper()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.conns) == 0
	}, 10*time.Second, time.Millisecond)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestACallAllocatesNothingButItsReply(t *testing.T) { // not parallel: it counts allocations
	if raceDetector {
		t.Skip("the race detector makes sync.Pool forget on purpose")
	}
	c := serveFake(t).dial(t)
	body := make([]byte, 64)
	call := func() {
		if _, err := c.WriteRead(context.Background(), "bench", body); err != nil {
			t.Fatal(err)
		}
	}
	call()
	// The server in this process allocates the method's name and nothing more.
	require.LessOrEqual(t, testing.AllocsPerRun(100, call), 2.0)
}
