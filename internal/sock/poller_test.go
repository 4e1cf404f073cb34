package sock

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newTestPoller(t testing.TB) *Poller {
	t.Helper()
	p, err := NewPoller()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// look returns what is ready now, by key.
func look(t testing.TB, p *Poller) map[uint64]Flags {
	t.Helper()
	events := make([]Event, 8)
	n, err := p.Wait(events, 0)
	require.NoError(t, err)
	ready := map[uint64]Flags{}
	for _, e := range events[:n] {
		ready[e.Key] = e.Flags
	}
	return ready
}

func TestPollerTellsWhatIsReady(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	a, b := pair(t)
	const key = uint64(0xfedc_ba98_8765_4321) // all 64 bits come back
	require.NoError(t, p.Add(a, key, Readable))
	require.Empty(t, look(t, p))

	require.NoError(t, Send(b, []byte("x")))
	for range 2 {
		require.Equal(t, map[uint64]Flags{key: Readable}, look(t, p), "broken promise: ready until it is read")
	}
	recvString(t, a)
	require.Empty(t, look(t, p))

	require.NoError(t, p.Mod(a, 7, Readable|Writable))
	require.Equal(t, map[uint64]Flags{7: Writable}, look(t, p))

	require.NoError(t, p.Mod(a, 8, 0))
	require.NoError(t, Send(b, []byte("x")))
	require.Empty(t, look(t, p))
	replaceByNull(t, b)
	require.Equal(t, map[uint64]Flags{8: Hangup}, look(t, p), "broken promise: Hangup is always waited for")
	require.NoError(t, p.Mod(a, 9, Readable))
	require.Equal(t, map[uint64]Flags{9: Readable | Hangup}, look(t, p), "broken promise: the end is readable, and named")

	require.NoError(t, p.Del(a))
	require.Empty(t, look(t, p))
}

func TestPollerRefusesMistakes(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	a, _ := pair(t)
	require.Error(t, p.Add(a, math.MaxUint64, Readable))
	require.ErrorIs(t, p.Mod(a, 1, Readable), unix.ENOENT)
	require.ErrorIs(t, p.Del(a), unix.ENOENT)
	require.NoError(t, p.Add(a, 1, Readable))
	require.Error(t, p.Mod(a, math.MaxUint64, Readable))
	require.ErrorIs(t, p.Add(a, 1, Readable), unix.EEXIST)
	_, err := p.Wait(nil, 0)
	require.Error(t, err)
}

func TestPollerHandsOutMoreThanOneWaitHolds(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	const many = 10
	for key := range uint64(many) {
		a, _ := pair(t)
		require.NoError(t, p.Add(a, key, Writable))
	}
	p.Wake()
	seen := map[uint64]bool{}
	for len(seen) < many { // hangs if one is starved
		events := make([]Event, 3)
		n, err := p.Wait(events, -1)
		require.NoError(t, err)
		for _, e := range events[:n] {
			seen[e.Key] = true
		}
	}
}

func TestWakeEndsOneWait(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	events := make([]Event, 4)
	for range 3 {
		p.Wake()
		p.Wake()
		n, err := p.Wait(events, -1)
		require.NoError(t, err)
		require.Zero(t, n, "broken promise: a wake-up is no event")
	}
	a, _ := pair(t)
	require.NoError(t, p.Add(a, 1, Writable))
	p.Wake()
	require.Equal(t, map[uint64]Flags{1: Writable}, look(t, p))
}

func TestManyWakesCostOneWrite(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	for range 100 {
		p.Wake()
	}
	var count [8]byte
	_, err := unix.Read(p.wakefd, count[:])
	require.NoError(t, err)
	require.Equal(t, [8]byte{1}, count)
}

func TestNoWakeIsLost(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	const wakers, each = 4, 2000
	var work atomic.Int64
	var group sync.WaitGroup
	for range wakers {
		group.Go(func() {
			for range each {
				work.Add(1)
				p.Wake()
			}
		})
	}
	events := make([]Event, 1)
	for work.Load() < wakers*each { // hangs if a wake-up gets lost
		_, err := p.Wait(events, -1)
		require.NoError(t, err)
	}
	group.Wait()
}

func TestWakeAfterCloseTouchesNobody(t *testing.T) {
	t.Parallel()
	p, err := NewPoller()
	require.NoError(t, err)
	var wakers sync.WaitGroup
	for range 4 {
		wakers.Go(func() {
			for range 100 {
				p.Wake()
				p.woken.Store(false)
			}
		})
	}
	require.NoError(t, p.Close())
	wakers.Wait()
	require.NoError(t, p.Close())
	p.Wake()
}

func TestPollerWaitsAtLeastItsTimeout(t *testing.T) {
	t.Parallel()
	p := newTestPoller(t)
	began := time.Now()
	for time.Since(began) < 2*time.Millisecond { // again after a signal
		n, err := p.Wait(make([]Event, 1), 2*time.Millisecond)
		require.NoError(t, err)
		require.Zero(t, n)
	}
	for d, want := range map[time.Duration]int{-1: -1, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, math.MaxInt64: math.MaxInt32} {
		require.Equal(t, want, milliseconds(d), "%d ns", d)
	}
}

func TestWatchOutlivesAClosedDescriptorThatIsShared(t *testing.T) {
	t.Parallel()
	// Why Del comes before close: the rule in Poller's comment.
	p := newTestPoller(t)
	a, b := pair(t)
	other, err := unix.FcntlInt(uintptr(a), unix.F_DUPFD_CLOEXEC, 0) // as in the other process
	require.NoError(t, err)
	closeLater(t, other)
	require.NoError(t, p.Add(a, 5, Readable))
	require.NoError(t, Send(b, []byte("x")))
	replaceByNull(t, a)
	require.Equal(t, map[uint64]Flags{5: Readable}, look(t, p))
}

func TestWaitReadableSeesDataAndTheEnd(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for _, timeout := range []time.Duration{0, time.Millisecond} {
		ready, err := WaitReadable(a, timeout)
		require.NoError(t, err)
		require.False(t, ready)
	}
	require.NoError(t, Send(b, []byte("x")))
	for _, timeout := range []time.Duration{-1, 0, time.Hour} {
		ready, err := WaitReadable(a, timeout)
		require.NoError(t, err)
		require.True(t, ready)
	}
	recvString(t, a)
	woken := make(chan bool)
	go func() {
		ready, err := WaitReadable(a, -1)
		woken <- ready && err == nil
	}()
	replaceByNull(t, b)
	require.True(t, <-woken)
}

func TestWaitReadableOnTwo(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	c, d := pair(t)
	for _, want := range [][]bool{{false, false}, {true, false}, {true, true}} {
		first, second, err := WaitReadable2(a, c, 0)
		require.NoError(t, err)
		require.Equal(t, want, []bool{first, second})
		if slices.Equal(want, []bool{false, false}) {
			require.NoError(t, Send(b, []byte("x")))
		} else {
			require.NoError(t, Send(d, []byte("x")))
		}
	}
}

func TestWaitReadableOnAClosedDescriptorIsAnError(t *testing.T) {
	t.Parallel()
	const never = 1 << 29
	_, err := WaitReadable(never, -1)
	require.ErrorIs(t, err, unix.EBADF)
	a, b := pair(t)
	require.NoError(t, Send(b, []byte("x")))
	_, second, err := WaitReadable2(a, never, -1)
	require.ErrorIs(t, err, unix.EBADF)
	require.False(t, second)
}

func BenchmarkWaitReady(b *testing.B) {
	p := newTestPoller(b)
	x, _ := pair(b)
	require.NoError(b, p.Add(x, 1, Writable))
	events := make([]Event, 16)
	for b.Loop() {
		if n, err := p.Wait(events, -1); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkWake(b *testing.B) {
	p := newTestPoller(b)
	events := make([]Event, 16)
	for b.Loop() {
		p.Wake()
		if _, err := p.Wait(events, -1); err != nil {
			b.Fatal(err)
		}
	}
}
