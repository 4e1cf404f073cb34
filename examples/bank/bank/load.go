package bank

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/receive"
)

// LoadConfig says what load to put on a bank. Name and Clients must be set.
type LoadConfig struct {
	Name    string // of the pair
	Dir     string // run directory; "": the default
	Clients int    // customers, each with an open of its own and one request under way
	Seed    uint64 // of what they ask for

	// Replied, unless nil, is called by every customer, in its own goroutine, after each reply. epoch is the latest
	// that its open has heard of.
	Replied func(client int, epoch uint32)
}

// Load is a number of customers at work, and an auditor.
type Load struct {
	cfg       LoadConfig
	customers []*customer
	house     string
	auditor   *Client
	quit      chan struct{}
	failed    chan struct{}
	failing   sync.Once
	work      sync.WaitGroup

	mu     sync.Mutex
	result Result
}

// Result is what a load has found out.
type Result struct {
	Tally
	Clients    []Tally // of each
	Audits     int64   // made while the load was on, and one after it
	Unbalanced int64   // of which found that money had appeared or vanished
	Err        error   // why customers gave up, if any did
}

// OK tells whether the bank kept every promise.
func (r *Result) OK() bool { return r.Clean() && r.Unbalanced == 0 && r.Err == nil }

// customer is one client with its account.
type customer struct {
	*Client
	number   int
	account  string
	rng      *rand.Rand
	ledger   Ledger
	err      error
	requests atomic.Int64
	_        [64]byte // its counter has a cache line of its own
}

// auditEvery is the pause between two audits under load.
const auditEvery = 100 * time.Millisecond

// StartLoad opens the bank for every customer, and lets them begin. ctx bounds the opening only. Every Load must be
// stopped. The accounts are new ones at every call.
func StartLoad(ctx context.Context, cfg LoadConfig) (*Load, error) {
	run := rand.Uint32()
	l := &Load{cfg: cfg, house: fmt.Sprintf("house-%08x", run), quit: make(chan struct{}), failed: make(chan struct{})}
	if err := l.open(ctx, run); err != nil {
		l.close()
		return nil, fmt.Errorf("cannot start the load: %w", err)
	}
	for _, c := range l.customers {
		l.work.Go(func() { l.serve(c) })
	}
	l.work.Go(l.audit)
	return l, nil
}

func (l *Load) open(ctx context.Context, run uint32) (err error) {
	var opts []receive.Option
	if l.cfg.Dir != "" {
		opts = append(opts, receive.RunDir(l.cfg.Dir))
	}
	if l.auditor, err = Dial(ctx, l.cfg.Name, opts...); err != nil {
		return err
	}
	for i := range l.cfg.Clients {
		client, err := Dial(ctx, l.cfg.Name, opts...)
		if err != nil {
			return err
		}
		l.customers = append(l.customers, &customer{Client: client, number: i, account: fmt.Sprintf("customer-%08x-%d", run, i),
			rng: rand.New(rand.NewPCG(l.cfg.Seed, uint64(i)))})
	}
	return nil
}

// Requests returns how many have been answered so far.
func (l *Load) Requests() (n int64) {
	for _, c := range l.customers {
		n += c.requests.Load()
	}
	return n
}

// GaveUp is closed when the first customer has given up: a request of its ended with an error.
func (l *Load) GaveUp() <-chan struct{} { return l.failed }

// Stop lets the customers finish what is under way, compares their ledgers with the bank's books, and ends the load. When
// ctx ends first, requests under way are given up and count as failed.
func (l *Load) Stop(ctx context.Context) Result {
	close(l.quit)
	abort := context.AfterFunc(ctx, l.close)
	defer abort()
	l.work.Wait()
	l.closeBooks()
	l.close()
	return l.result
}

func (l *Load) close() {
	for _, c := range l.customers {
		_ = c.Close()
	}
	if l.auditor != nil {
		_ = l.auditor.Close()
	}
}

// serve lets a customer work until the load is stopped or an error ends it. No deadline is set on a request: whoever
// stops the load closes the opens if they do not come to an end.
func (l *Load) serve(c *customer) {
	ctx := context.Background()
	for c.err == nil {
		select {
		case <-l.quit:
			var said Statement
			if said, c.err = c.Statement(ctx, c.account); c.err == nil {
				c.ledger.Check(said)
				return
			}
		default:
			c.err = l.ask(ctx, c)
		}
	}
	l.failing.Do(func() { close(l.failed) })
}

// ask makes one request and enters the answer into the ledger.
func (l *Load) ask(ctx context.Context, c *customer) error {
	op := c.ledger.Draw(c.rng)
	var said Statement
	var err error
	if op.Pay {
		said, err = c.Transfer(ctx, c.account, l.house, op.Amount)
	} else {
		said, err = c.Deposit(ctx, c.account, op.Amount)
	}
	if err != nil {
		maybe := receive.MayBeApplied(err)
		if maybe {
			var unknown error
			if said, unknown = c.Statement(ctx, c.account); unknown != nil {
				maybe, err = false, errors.Join(err, unknown) // it failed, and that is all that can be said
			}
		}
		c.ledger.Failed(op, maybe, said)
		return err
	}
	if l.cfg.Replied != nil {
		l.cfg.Replied(c.number, c.Epoch())
	}
	c.ledger.Booked(op, said)
	c.requests.Add(1)
	return nil
}

// audit checks the invariant while money moves.
func (l *Load) audit() {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		if !l.auditOnce() {
			return
		}
	}
}

func (l *Load) auditOnce() bool {
	a, err := l.auditor.Audit(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.result.Err = errors.Join(l.result.Err, err)
		return false
	}
	l.result.Audits++
	if !a.Balanced() {
		l.result.Unbalanced++
	}
	return true
}

// closeBooks adds everything up when nobody works any more. The house account belongs to all customers: it must hold
// what their ledgers say that they paid.
func (l *Load) closeBooks() {
	r := &l.result
	var paid Statement
	for _, c := range l.customers {
		r.Clients = append(r.Clients, c.ledger.Tally)
		r.Add(c.ledger.Tally)
		paid.Balance += c.ledger.paid.Balance
		paid.Entries += c.ledger.paid.Entries
		if c.err != nil {
			r.Err = errors.Join(r.Err, fmt.Errorf("customer %d: %w", c.number, c.err))
		}
	}
	if r.Err != nil || !l.auditOnce() {
		return
	}
	house, err := l.auditor.Statement(context.Background(), l.house)
	if err != nil {
		r.Err = errors.Join(r.Err, err)
	} else if house != paid && r.Clean() {
		r.Unbalanced++
	}
}
