package fault

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// Kind is what happens to a primary.
type Kind string

// The kinds.
const (
	Kill     Kind = "SIGKILL"
	Stop     Kind = "SIGSTOP"                        // halts, and could be continued
	Panic    Kind = "panic"                          // in a handler
	Deadlock Kind = "deadlocked loop"                // a handler that waits for ever
	Throw    Kind = "out of memory, Go's runtime"    // within RLIMIT_AS: a fatal error that cannot be recovered
	OOMKill  Kind = "out of memory, kernel's killer" // within the limit of a control group
	Switch   Kind = "planned switch"                 // no fault: what an operator does
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Kill, Stop, Panic, Deadlock, Throw, OOMKill, Switch} }

// Injector does faults to one pair.
type Injector struct {
	pair  *subject.Pair
	conn  *receive.Conn // of its own: what is done to a request of it concerns no other client
	group *group        // nil: not needed yet
}

// New connects to a pair.
func New(ctx context.Context, t *subject.Pair) (*Injector, error) {
	conn, err := t.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &Injector{pair: t, conn: conn}, nil
}

// Close ends the connection and removes the control group, if there is one. The processes in it must have ended.
func (i *Injector) Close() error {
	_ = i.conn.Close()
	if i.group == nil {
		return nil
	}
	return i.group.remove()
}

// exhaustMiB is how much memory a process may take before it has run out.
const exhaustMiB = 16

// Prepare does what must be done to the primary before the fault, outside of what is measured.
func (i *Injector) Prepare(kind Kind, primary *proc.Process) (err error) {
	if kind != OOMKill {
		return nil
	}
	if i.group == nil {
		if i.group, err = newGroup(exhaustMiB); err != nil {
			return err
		}
	}
	return i.group.add(primary.ID().PID)
}

// Strike does it, and returns when that was. done tells, some time after the takeover, whether it could be done.
func (i *Injector) Strike(ctx context.Context, kind Kind, primary *proc.Process) (at time.Time, done <-chan error) {
	result := make(chan error, 1)
	ask := func(method string, h subject.Harm) func() error {
		h.PID = primary.ID().PID
		return func() error {
			_, err := receive.Call[struct{}](ctx, i.conn, method, h)
			return err
		}
	}
	var do func() error
	switch kind {
	case Kill, Stop:
		sig := unix.SIGKILL
		if kind == Stop {
			sig = unix.SIGSTOP
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		at = time.Now()
		result <- primary.Signal(sig)
		return at, result
	case Panic:
		do = ask(subject.Panic, subject.Harm{})
	case Deadlock:
		do = ask(subject.Deadlock, subject.Harm{})
	case Throw:
		do = ask(subject.Exhaust, subject.Harm{MiB: exhaustMiB})
	case OOMKill:
		do = ask(subject.Exhaust, subject.Harm{})
	case Switch:
		do = func() error { return pair.Switch(ctx, i.pair.World.RunDir(), i.pair.Name) }
	default:
		do = func() error { return fmt.Errorf("unknown fault %q", kind) }
	}
	at = time.Now()
	go func() { result <- do() }()
	return at, result
}

// Grow makes the primary as large as that, if it is smaller. It is a fault of nobody: the process lives.
func (i *Injector) Grow(ctx context.Context, primary *proc.Process, mib int) error {
	for range (mib + subject.GrowStep - 1) / subject.GrowStep {
		if _, err := receive.Call[struct{}](ctx, i.conn, subject.Grow, subject.Harm{PID: primary.ID().PID, MiB: mib}); err != nil {
			return err
		}
	}
	return nil
}
