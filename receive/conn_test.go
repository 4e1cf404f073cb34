package receive

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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

func TestTheServerMayGrantLessSyncDepth(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	p.with(func() { p.depth = 2 })
	c := p.dial(t)
	require.Equal(t, 2, c.State().Depth)
	hammer(t, c, 8, 50)
	p.requireOnce(t)
}

func TestRequestsCarryTheirPriority(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	got := make(chan uint8, 1)
	p.with(func() { p.swallow = func(f *wire.Frame) bool { got <- f.Priority; return false } })
	write(t, p.dial(t, Priority(7)), "echo", "x")
	require.Equal(t, uint8(7), <-got)
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
