package subject

import (
	"context"
	"fmt"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/load"
	"github.com/1fb4ed1c/tandem/receive"
)

// Connection is how a client reaches the service.
type Connection string

// The connections.
const (
	Requester Connection = "requester"   // an open of its own: it is told who is primary, and repeats what is unanswered
	Foreign   Connection = "foreign TCP" // a TCP connection that stays, of a client that knows nothing of pairs
	Fresh     Connection = "new connect" // a TCP connection for every request
)

// clientTimeout is how long a client waits for a reply on TCP before that counts as an error.
const clientTimeout = 30 * time.Second

// Clients are several that make requests of the same work.
type Clients struct {
	Load  []load.Client
	close []func()
}

// Clients connects n clients. spins is the work of a request, see SpinsPer.
func (t *Pair) Clients(ctx context.Context, kind Connection, n int, spins uint64) (*Clients, error) {
	cs := &Clients{}
	for i := range n {
		if err := cs.dial(ctx, t, kind, Work{Key: uint32(i), Spins: spins}); err != nil {
			cs.Close()
			return nil, fmt.Errorf("cannot connect client %d of %d (%s): %w", i+1, n, kind, err)
		}
	}
	return cs, nil
}

func (cs *Clients) dial(ctx context.Context, t *Pair, kind Connection, w Work) error {
	switch kind {
	case Requester:
		c, err := t.Dial(ctx)
		if err != nil {
			return err
		}
		cs.add(&requester{c, w}, func() { _ = c.Close() })
	case Foreign:
		s, err := DialStream(t.Addr, clientTimeout)
		if err != nil {
			return err
		}
		cs.add(&foreign{s, w}, func() { _ = s.Close() })
		return s.Work(Work{Key: w.Key}) // a connection that has been answered has been accepted
	case Fresh:
		cs.add(&fresh{t.Addr, w}, func() {})
	default:
		return fmt.Errorf("unknown connection %q: expected %s, %s or %s", kind, Requester, Foreign, Fresh)
	}
	return nil
}

func (cs *Clients) add(c load.Client, closer func()) {
	cs.Load, cs.close = append(cs.Load, c), append(cs.close, closer)
}

// Close ends all connections. What is under way ends with an error.
func (cs *Clients) Close() {
	for _, f := range cs.close {
		f()
	}
}

// keys are how many a client works on.
const keys = 1024

func (w Work) number(n int) Work { return Work{Key: (w.Key + uint32(n)) % keys, Spins: w.Spins} }

type requester struct {
	conn *receive.Conn
	work Work
}

var _ load.Client = (*requester)(nil)

// Do makes one request.
func (c *requester) Do(n int) (uint64, error) {
	_, err := receive.Call[uint64](context.Background(), c.conn, "work", c.work.number(n))
	return uint64(c.conn.Epoch()), err
}

type foreign struct {
	stream *Stream
	work   Work
}

var _ load.Client = (*foreign)(nil)

// Do makes one request.
func (c *foreign) Do(n int) (uint64, error) { return 0, c.stream.Work(c.work.number(n)) }

type fresh struct {
	addr string
	work Work
}

var _ load.Client = (*fresh)(nil)

// Do connects, makes one request, and hangs up.
func (c *fresh) Do(n int) (uint64, error) {
	s, err := DialStream(c.addr, clientTimeout)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return 0, s.Work(c.work.number(n))
}
