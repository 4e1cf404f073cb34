package pair_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// load is a crowd of clients that make entries, each with several calls under way on one connection, while a test does
// its worst to the pair. What they were told is compared with what the ledger holds.
type load struct {
	t       *testing.T
	p       *pairtest.Pair
	clients []*client
	done    atomic.Int64 // entries answered
	limit   atomic.Int64 // where the clients pause, so that a long run does not end up with a state too large to be filled in
	stop    context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
}

// client is one connection and what was answered on it. Entry n is made by the call that drew n.
type client struct {
	id   int
	c    *receive.Conn
	next atomic.Int64
	cuts cutList // how the connection was lost, if it was

	mu       sync.Mutex
	receipts map[int]Receipt
	errs     []error
}

// ahead is how many entries the clients make beyond those that a test has waited for.
const ahead = 2000

// patience is how long a client waits for anything.
const patience = 20 * time.Second

// newLoad opens the pair with n clients of the given window.
func newLoad(t *testing.T, p *pairtest.Pair, n int, options ...receive.Option) *load {
	t.Helper()
	l := &load{t: t, p: p}
	l.limit.Store(ahead)
	l.ctx, l.stop = context.WithCancel(context.Background())
	t.Cleanup(l.stop)
	for i := range n {
		k := &client{id: i + 1, receipts: map[int]Receipt{}}
		k.c = p.Dial(append([]receive.Option{receive.Logger(slog.New(&k.cuts))}, options...)...)
		l.clients = append(l.clients, k)
	}
	return l
}

// run lets every client make entries with so many callers, until finish.
func (l *load) run(callers int) *load {
	for _, k := range l.clients {
		for range callers {
			l.running.Go(func() { k.enter(l) })
		}
	}
	return l
}

func (k *client) enter(l *load) {
	for l.ctx.Err() == nil {
		if l.done.Load() >= l.limit.Load() {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		n := int(k.next.Add(1) - 1)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		r, err := receive.Call[Receipt](ctx, k.c, "enter", Entry{Client: k.id, N: n})
		cancel()
		k.mu.Lock()
		if err != nil {
			k.errs = append(k.errs, err)
			k.mu.Unlock()
			return
		}
		k.receipts[n] = r
		k.mu.Unlock()
		l.done.Add(1)
	}
}

// await returns when n more entries have been answered.
func (l *load) await(n int64) {
	l.t.Helper()
	until := l.done.Load() + n
	l.limit.Store(until + ahead)
	for end := time.Now().Add(patience); l.done.Load() < until; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			require.FailNowf(l.t, "broken promise: a pair goes on", "%d of %d entries were answered within %v; errors: %v", l.done.Load(), until, patience, l.errors())
		}
	}
}

func (l *load) errors() (all []error) {
	for _, k := range l.clients {
		k.mu.Lock()
		all = append(all, k.errs...)
		k.mu.Unlock()
	}
	return all
}

// finish ends the clients and compares their books with the ledger's.
func (l *load) finish() {
	l.t.Helper()
	l.stop()
	l.running.Wait()
	require.Empty(l.t, l.errors(), "broken promise: every request is answered")
	require.NotZero(l.t, l.done.Load(), "this run proves nothing: no entry was made")
	serials := map[int64]bool{}
	for _, k := range l.clients {
		for n, m := range l.made(k) {
			require.EqualValues(l.t, 1, m.Times, "broken promise: every request is applied once; entry %d of client %d", n, k.id)
			told, ok := k.receipts[n]
			require.True(l.t, ok, "entry %d of client %d was made, and nobody was told", n, k.id)
			require.Equal(l.t, m.Receipt, told, "broken promise: the reply is what the state says; entry %d of client %d", n, k.id)
			require.False(l.t, serials[told.Serial], "serial %d was given twice", told.Serial)
			serials[told.Serial] = true
			delete(k.receipts, n)
		}
		require.Empty(l.t, k.receipts, "broken promise: what was answered is in the state; client %d", k.id)
	}
}

// unbroken requires that no client ever lost its connection.
func (l *load) unbroken() {
	l.t.Helper()
	for _, k := range l.clients {
		require.Empty(l.t, k.cuts.list(), "broken promise: no connection is lost by a takeover; client %d lost its own", k.id)
	}
}

// made reads all that the ledger holds of a client.
func (l *load) made(k *client) (all []Made) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		part, err := receive.Call[[]Made](ctx, k.c, "made", Question{k.id, len(all)})
		require.NoError(l.t, err)
		all = append(all, part...)
		if len(part) < atOnce {
			return all
		}
	}
}

// cutList is what a connection logs: that it was lost, or could not be made.
type cutList struct {
	mu  sync.Mutex
	all []string
}

func (l *cutList) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// Enabled implements slog.Handler.
func (*cutList) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *cutList) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := r.Time.Format(time.StampMicro) + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	l.all = append(l.all, text)
	return nil
}

// WithAttrs implements slog.Handler.
func (l *cutList) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *cutList) WithGroup(string) slog.Handler { return l }

var _ slog.Handler = (*cutList)(nil)
