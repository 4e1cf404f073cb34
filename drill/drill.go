package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// Errors of a drill, found with errors.Is.
var (
	// ErrNoPair means that there is no pair of that name, or that it ended.
	ErrNoPair = errors.New("no such pair")
	// ErrUnprotected means that the pair did not become protected in time: to harm it now would end it.
	ErrUnprotected = errors.New("the pair is not protected")
)

// Fault is what is done to a pair.
type Fault uint8

// The faults.
const (
	Kill   Fault = iota // SIGKILL to the primary
	Freeze              // SIGSTOP to the primary, as a hang
	Switch              // a planned switch
)

var faults = [...]string{Kill: "kill", Freeze: "freeze", Switch: "switch"}

// String returns the fault as ParseFault reads it.
func (f Fault) String() string {
	if int(f) < len(faults) {
		return faults[f]
	}
	return fmt.Sprintf("fault %d", uint8(f))
}

// ParseFault is the inverse of String.
func ParseFault(s string) (Fault, error) {
	for f, name := range faults {
		if name == s {
			return Fault(f), nil
		}
	}
	return 0, fmt.Errorf("unknown fault %q: expected %v, %v or %v", s, Kill, Freeze, Switch)
}

// MarshalText makes JSON carry the name.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (f *Fault) UnmarshalText(b []byte) (err error) {
	*f, err = ParseFault(string(b))
	return err
}

// Config says what is done to which pair. Only Name is needed.
type Config struct {
	Dir     string                          // run directory; "": as package pair
	Name    string                          // of the pair
	Faults  []Fault                         // done in turns, in an order drawn by lot for each; none: Kill
	Times   int                             // how often each; 0: once
	Signal  unix.Signal                     // that Kill sends; 0: SIGKILL. The pair must die of it
	Call    func(ctx context.Context) error // one request, as your clients make it; called by several goroutines. nil: no load
	Rate    int                             // requests per second; 0: 1000
	Clients int                             // requests under way at most; 0: 16
	Within  time.Duration                   // for the pair to be protected, before each fault and after it; 0: 30 s
	Seed    uint64                          // of the order of faults and their moments
	Told    func(Outcome)                   // hears of each fault as it is done; nil: nobody
}

// Outcome is what came of one fault.
type Outcome struct {
	Fault    Fault         `json:"fault"`
	At       time.Time     `json:"at"`
	Epoch    uint32        `json:"epoch"`    // of the pair, afterwards
	PID      int           `json:"pid"`      // of the primary that it was done to
	Primary  int           `json:"primary"`  // the one afterwards
	Cause    string        `json:"cause"`    // as the pair has seen it
	Evidence string        `json:"evidence"` // what told of it
	Took     time.Duration `json:"took_ns"`  // until the pair was protected again
	Phases   Phases        `json:"phases"`
	Load     *Load         `json:"load,omitempty"` // nil: there was none
}

// Phases are when the steps of the takeover were complete, since the fault. 0: it was not done, or not in sight.
type Phases struct {
	Noticed    time.Duration `json:"noticed_ns"`
	Fenced     time.Duration `json:"fenced_ns"` // the old primary is silent
	Sealed     time.Duration `json:"sealed_ns"` // and its log closed
	Drained    time.Duration `json:"drained_ns"`
	Serving    time.Duration `json:"serving_ns"`
	FirstReply time.Duration `json:"first_reply_ns"`
	Restored   time.Duration `json:"restored_ns"` // protected again
}

// Run does all faults. It returns what came of those that were done also with an error: ErrNoPair, ErrUnprotected, or ctx's.
func (c Config) Run(ctx context.Context) ([]Outcome, error) {
	if c.Dir == "" {
		dir, err := registry.Root()
		if err != nil {
			return nil, fmt.Errorf("cannot drill %q: %w", c.Name, err)
		}
		c.Dir = dir
	}
	if len(c.Faults) == 0 {
		c.Faults = []Fault{Kill}
	}
	c.Times, c.Rate, c.Clients = cmp.Or(c.Times, 1), cmp.Or(c.Rate, 1000), cmp.Or(c.Clients, 16)
	c.Within = cmp.Or(c.Within, 30*time.Second)
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	var all []Outcome
	for range c.Times {
		for _, i := range rng.Perm(len(c.Faults)) {
			o, err := c.once(ctx, c.Faults[i], rng)
			if err != nil {
				return all, fmt.Errorf("cannot drill %q: %v: %w", c.Name, c.Faults[i], err)
			}
			all = append(all, o)
			if c.Told != nil {
				c.Told(o)
			}
		}
	}
	return all, nil
}

// once does one fault and waits until the pair is protected again.
func (c *Config) once(ctx context.Context, f Fault, rng *rand.Rand) (o Outcome, err error) {
	page, err := c.protected(ctx, func(*registry.Page) bool { return true })
	if err != nil {
		return o, err
	}
	victim, err := proc.Open(proc.ID{PID: page.Primary.PID, Start: page.Primary.Start})
	if err != nil {
		return o, err
	}
	defer victim.Close()
	o = Outcome{Fault: f, PID: page.Primary.PID}
	l := c.startLoad(ctx)
	defer l.stop()
	if err := pause(ctx, c.runUp()+time.Duration(rng.Int64N(int64(c.runUp())))); err != nil {
		return o, err
	}
	o.At = time.Now()
	l.mark()
	switch f {
	case Kill:
		err = victim.Signal(cmp.Or(c.Signal, unix.SIGKILL))
	case Freeze:
		err = victim.Signal(unix.SIGSTOP)
	case Switch:
		err = pair.Switch(ctx, c.Dir, c.Name)
	default:
		err = fmt.Errorf("unknown fault: expected %v, %v or %v", Kill, Freeze, Switch)
	}
	if err != nil {
		return o, err
	}
	was := page.Epoch
	page, err = c.protected(ctx, func(p *registry.Page) bool {
		return p.Epoch > was && (f == Switch || complete(p.LastTakeover, p.Epoch))
	})
	if err != nil {
		return o, err
	}
	o.Epoch, o.Primary, o.Took = page.Epoch, page.Primary.PID, time.Since(o.At)
	if t := page.LastTakeover; f != Switch && t != nil && t.Epoch == page.Epoch {
		o.Cause, o.Evidence, o.Phases = t.Cause, t.Evidence, phasesOf(t, o.At)
		o.Took = o.Phases.Restored
	}
	if c.Call != nil {
		_ = pause(ctx, c.runUp())
		o.Load = l.result()
	}
	return o, ctx.Err()
}

// complete reports whether a takeover has been recorded to its end.
func complete(t *registry.Takeover, epoch uint32) bool {
	return t != nil && t.Epoch == epoch && t.FencedUS > 0 && t.RestoredUS > 0
}

func phasesOf(t *registry.Takeover, fault time.Time) Phases {
	noticed := max(t.At.Sub(fault), 0)
	since := func(us int64) time.Duration {
		if us == 0 {
			return 0
		}
		return noticed + time.Duration(us)*time.Microsecond
	}
	return Phases{Noticed: noticed, Fenced: since(t.FencedUS), Sealed: since(t.SealedUS), Drained: since(t.DrainedUS), Serving: since(t.ServingUS),
		FirstReply: since(t.FirstReplyUS), Restored: since(t.RestoredUS)}
}

// lookEvery is how often the status page is read.
const lookEvery = time.Millisecond

// protected waits until the pair is protected and ok.
func (c *Config) protected(ctx context.Context, ok func(*registry.Page) bool) (registry.Page, error) {
	for end := time.Now().Add(c.Within); ; {
		page, err := registry.Read(c.Dir, c.Name)
		if err != nil {
			return page, fmt.Errorf("%w: %w", ErrNoPair, err)
		}
		p, b := page.Primary, page.Backup
		if p != nil && b != nil && b.Synchronised && ok(&page) {
			return page, nil
		}
		if page.Stopped || p == nil || !alive(p) && (b == nil || !alive(b)) {
			return page, fmt.Errorf("%w: both members are gone", ErrNoPair)
		}
		if time.Now().After(end) {
			return page, fmt.Errorf("%w, not within %v", ErrUnprotected, c.Within)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return page, err
		}
	}
}

func alive(m *registry.Member) bool { return proc.ID{PID: m.PID, Start: m.Start}.Alive() }

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
