package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

func write(t testing.TB, c *Conn, method, body string) string {
	t.Helper()
	reply, err := c.WriteRead(t.Context(), method, []byte(body))
	require.NoError(t, err)
	return string(reply)
}

func TestACallComesBackWithItsReply(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	require.Equal(t, "hello", write(t, c, "echo", "hello"))
	require.Equal(t, "", write(t, c, "echo", ""))
	require.Equal(t, "3", write(t, c, "id", "x"))
	require.Equal(t, "bank one 1", fmt.Sprint(c.Name(), " ", c.Instance(), " ", c.Epoch()))
}

func TestCallCarriesValues(t *testing.T) {
	t.Parallel()
	type transfer struct {
		From, To string
		Amount   int64
	}
	c := serveFake(t).dial(t)
	want := transfer{"ada", "bob", 5}
	got, err := Call[transfer](t.Context(), c, "echo", want)
	require.NoError(t, err)
	require.Equal(t, want, got)
	n, err := Call[int64](t.Context(), c, "echo", 42)
	require.NoError(t, err)
	require.Equal(t, int64(42), n)

	_, err = Call[int64](t.Context(), c, "fail", 1)
	require.ErrorIs(t, err, NewError(300, ""))
	require.EqualError(t, err, "cannot call fail on bank: insufficient funds (error 300)")
	require.False(t, MayBeApplied(err))
	_, err = Call[int64](t.Context(), c, "echo", make(chan int))
	require.ErrorIs(t, err, ErrBadRequest)
	require.False(t, MayBeApplied(err), "a request that cannot be encoded was not sent")
	_, err = Call[int64](t.Context(), c, "echo", "text")
	require.ErrorIs(t, err, ErrBadRequest)
	require.True(t, MayBeApplied(err), "a reply that cannot be decoded was given all the same")
}

func TestWhatDoesNotFitAPacketIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	c := serveFake(t).dial(t)
	body := bytes.Repeat([]byte("x"), wire.MaxBody)
	reply, err := c.WriteRead(t.Context(), strings.Repeat("m", wire.MaxMethod), body)
	require.NoError(t, err)
	require.Equal(t, body, reply)
	_, err = c.WriteRead(t.Context(), "m", append(body, 'x'))
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = c.WriteRead(t.Context(), strings.Repeat("m", wire.MaxMethod+1), nil)
	require.ErrorIs(t, err, ErrTooLarge)
	require.False(t, MayBeApplied(err))
}

// hammer makes calls from several goroutines until each has made n.
func hammer(t *testing.T, c *Conn, workers, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range n {
				body := fmt.Sprintf("%d/%d", w, i)
				reply, err := c.WriteRead(context.Background(), "echo", []byte(body))
				if err != nil || string(reply) != body {
					t.Errorf("call %s came back with %q, %v", body, reply, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestConcurrentCallsGetTheirOwnReplies(t *testing.T) {
	t.Parallel()
	for _, window := range []int{1, 3, 64} {
		p := serveFake(t)
		hammer(t, p.dial(t, Window(window)), 16, 100)
		p.requireOnce(t)
		require.Len(t, p.order, 1600)
	}
}

// TestTakeoversUnderLoadAreInvisible: primaries die after they have read, after
// they have committed, connections break, roles are switched, and every call is
// answered and applied once.
func TestTakeoversUnderLoadAreInvisible(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	var count, epoch atomic.Int64
	fault := func() bool { return count.Add(1)%17 == 0 }
	faults := []func(){
		func() { p.takeover(false) },
		func() { p.takeover(true) },
		p.dropConns,
	}
	p.with(func() {
		// What is lost, unread or unanswered, is lost with its primary.
		lose := func(*wire.Frame) bool {
			if !fault() {
				return false
			}
			go faults[int(epoch.Add(1))%2*2]()
			return true
		}
		p.swallow, p.mute = lose, lose
	})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				write(t, c, "echo", "beside")
				p.takeover(true)
			}
		}
	})
	hammer(t, c, 8, 200)
	close(stop)
	wg.Wait()
	p.requireOnce(t)
}

// T7: without sync depth the error goes to the requester, the next request to the new primary.
func TestWithoutSyncDepthTheRequesterIsTold(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*fakePair){
		"takeover":        func(p *fakePair) { p.takeover(false) },
		"connection lost": (*fakePair).dropConns,
	} {
		p := serveFake(t)
		c := p.dial(t, SyncDepth(0))
		p.with(func() {
			p.mute = func(*wire.Frame) bool { go fault(p); return true }
		})
		_, err := c.WriteRead(t.Context(), "echo", []byte("one"))
		require.ErrorIs(t, err, ErrPathDown, name)
		require.True(t, MayBeApplied(err), name)
		p.with(func() { p.mute = nil })
		require.Equal(t, "two", write(t, c, "echo", "two"), name)
		require.Equal(t, 1, p.ran("one"), "%s: nothing is sent twice", name)
	}
}

// T8: restarted under the same name, the pair is another one.
func TestANewInstanceEndsTheOpen(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.with(func() { p.swallow = hasPrefix("in doubt") })
	result := make(chan error)
	go func() {
		_, err := c.WriteRead(context.Background(), "echo", []byte("in doubt"))
		result <- err
	}()
	write(t, c, "echo", "first")
	p.restart(t, "two")
	err := <-result
	require.ErrorIs(t, err, ErrWrongID)
	_, err = c.WriteRead(t.Context(), "echo", []byte("later"))
	require.ErrorIs(t, err, ErrWrongID)
	require.False(t, MayBeApplied(err))
	require.Equal(t, "again", write(t, p.dial(t), "echo", "again"), "a new open works")
}

// T9: a member that is not the primary turns requests away; they go where the name leads now.
func TestAMemberThatIsNotThePrimaryIsLeftForTheOneThatIs(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	turned := 0
	p.with(func() {
		p.code = func(*wire.Frame) int {
			if turned++; turned <= 3 {
				return codeOf(ErrOwnership)
			}
			return 0
		}
	})
	require.Equal(t, "x", write(t, c, "echo", "x"))
	p.requireOnce(t)
	p.with(func() { p.code = func(*wire.Frame) int { return codeOf(ErrOwnership) } })
	c2 := p.dial(t, RetryFor(time.Millisecond))
	_, err := c2.WriteRead(t.Context(), "echo", []byte("y"))
	require.ErrorIs(t, err, ErrPathDown, "nobody is the primary")
	c3 := p.dial(t, SyncDepth(0))
	_, err = c3.WriteRead(t.Context(), "echo", []byte("z"))
	require.ErrorIs(t, err, ErrOwnership, "without sync depth the requester is told")
}

func TestTheEndOfAContextEndsItsCallAndNoOther(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.with(func() { p.swallow = hasPrefix("never") })
	for range 3 { // the leader's, then a follower's
		lead, stopLead := context.WithCancel(t.Context())
		follow, stopFollow := context.WithCancel(t.Context())
		results := make(chan error, 2)
		for _, ctx := range []context.Context{lead, follow} {
			go func() {
				_, err := c.WriteRead(ctx, "echo", []byte("never"))
				results <- err
			}()
		}
		require.Equal(t, "meanwhile", write(t, c, "echo", "meanwhile"))
		for _, stop := range []func(){stopFollow, stopLead} {
			stop()
			err := <-results
			require.ErrorIs(t, err, ErrCancelled)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, "still", write(t, c, "echo", "still"))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := c.WriteRead(ctx, "echo", []byte("never"))
	require.ErrorIs(t, err, ErrTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = c.WriteRead(ctx, "echo", []byte("not even sent"))
	require.ErrorIs(t, err, ErrTimeout)
	require.False(t, MayBeApplied(err))
}

func TestACancelledCallIsCancelledAtTheServer(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	got := make(chan uint64, 1)
	p.with(func() {
		p.swallow = func(f *wire.Frame) bool {
			if string(f.Body) != "never" {
				return false
			}
			got <- f.ID
			return true
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var sent uint64
	go func() {
		sent = <-got
		cancel()
	}()
	_, err := c.WriteRead(ctx, "echo", []byte("never"))
	require.True(t, MayBeApplied(err))
	require.Equal(t, sent, <-p.cancels)
}

func TestAWindowThatIsFullMakesCallersWait(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t, Window(2))
	p.with(func() { p.swallow = hasPrefix("held") })
	held, release := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			_, err := c.WriteRead(held, "echo", []byte("held"))
			require.ErrorIs(t, err, ErrCancelled)
		})
	}
	require.Eventually(t, func() bool { return len(c.State().Pending) == 2 }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := c.WriteRead(ctx, "echo", []byte("third"))
	require.ErrorIs(t, err, ErrTimeout)
	require.False(t, MayBeApplied(err), "it never left")
	wg.Go(func() { require.Equal(t, "fourth", write(t, c, "echo", "fourth")) })
	release()
	wg.Wait()
	require.Zero(t, p.ran("third"))
}

func TestNobodyServes(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	_, err := Dial(t.Context(), "bank", RunDir(root), RetryFor(0))
	require.ErrorIs(t, err, ErrPathDown)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = Dial(ctx, "bank", RunDir(root))
	require.ErrorIs(t, err, ErrTimeout)
	_, err = Dial(t.Context(), "../bank", RunDir(root))
	require.ErrorIs(t, err, ErrBadRequest)
	_, err = Dial(t.Context(), "bank", RunDir(root), Window(0))
	require.ErrorIs(t, err, ErrBadRequest)

	p := serveFake(t)
	c := p.dial(t, RetryFor(10*time.Millisecond))
	p.stop()
	_, err = c.WriteRead(t.Context(), "echo", []byte("x"))
	require.ErrorIs(t, err, ErrPathDown)
	require.False(t, MayBeApplied(err), "it could not be sent")
	require.NoError(t, p.listen())
	require.Equal(t, "y", write(t, c, "echo", "y"), "the open goes on when the pair does")
}

func TestADialWaitsForThePair(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	p.stop()
	opened := make(chan error)
	go func() {
		c, err := Dial(t.Context(), "bank", RunDir(p.root))
		if err == nil {
			err = c.Close()
		}
		opened <- err
	}()
	require.NoError(t, p.listen())
	require.NoError(t, <-opened)
}

func TestARefusedOpen(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	p.with(func() { p.refuse = codeOf(ErrInUse) })
	_, err := Dial(t.Context(), "bank", RunDir(p.root))
	require.ErrorIs(t, err, ErrInUse)
	p.with(func() { p.refuse = codeOf(ErrOwnership) })
	_, err = Dial(t.Context(), "bank", RunDir(p.root), RetryFor(time.Millisecond))
	require.ErrorIs(t, err, ErrPathDown, "nobody is the primary")
}

// The primary dies between a hello and its welcome: the next one is asked again.
func TestAnOpenSurvivesATakeover(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	p.with(func() { p.deaf = true })
	opened := make(chan error)
	go func() {
		c, err := Dial(t.Context(), "bank", RunDir(p.root))
		if err == nil {
			err = c.Close()
		}
		opened <- err
	}()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.conns) == 1
	}, 10*time.Second, time.Millisecond)
	p.with(func() { p.deaf = false })
	p.takeover(false)
	require.NoError(t, <-opened)
}

func TestCloseEndsTheOpenAndItsCalls(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.with(func() { p.swallow = hasPrefix("never") })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, err := c.WriteRead(context.Background(), "echo", []byte("never"))
			require.ErrorIs(t, err, ErrNotOpen)
		})
	}
	require.Eventually(t, func() bool { return len(c.State().Pending) == 3 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	wg.Wait()
	_, err := c.WriteRead(t.Context(), "echo", nil)
	require.ErrorIs(t, err, ErrNotOpen)
	require.False(t, MayBeApplied(err))
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.byes == 1 && p.openers.Len() == 0
	}, 10*time.Second, time.Millisecond, "the server must hear of the close")
}

func TestTheServersGoodbyeEndsTheOpen(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.with(func() {
		p.swallow = hasPrefix("never")
		for fc := range p.conns {
			p.send(fc, &wire.Frame{Kind: wire.KindBye, Body: []byte("maintenance")})
		}
	})
	_, err := c.WriteRead(t.Context(), "echo", []byte("never"))
	require.ErrorIs(t, err, ErrStopping)
	require.ErrorContains(t, err, "maintenance")
}

func TestAServerOfAnotherLanguageEndsTheOpen(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.with(func() {
		p.swallow = func(*wire.Frame) bool {
			for fc := range p.conns {
				_, _ = unix.Write(fc.fd, []byte("HTTP/1.1 400 Bad Request"))
			}
			return true
		}
	})
	_, err := c.WriteRead(t.Context(), "echo", []byte("x"))
	require.ErrorIs(t, err, ErrBadRequest)
	require.ErrorIs(t, err, wire.ErrMagic)
}

// A server that does not read fills the socket; callers with a deadline still return.
func TestAServerThatDoesNotReadHoldsNobodyBeyondItsDeadline(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.mu.Lock() // the server stands still
	body := make([]byte, wire.MaxBody)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_, err := c.WriteRead(ctx, "echo", body)
			require.ErrorIs(t, err, ErrTimeout)
		})
	}
	wg.Wait()
	p.mu.Unlock()
	require.Equal(t, "again", write(t, c, "echo", "again"))
	p.requireOnce(t)
}

func TestLogsGoWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	var out safeBuffer
	c := p.dial(t, Logger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	p.dropConns()
	write(t, c, "echo", "x")
	require.Contains(t, out.String(), "connection lost")
	require.Contains(t, out.String(), "pair=bank")
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

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
