package ham

import (
	"context"
	"errors"
	"fmt"

	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/receive"
)

// Declare makes sure that an entity, condition or action is there and is as given, and returns its handle. Of d, Path says
// where it belongs: nothing for an entity, for a condition its entity, for an action its condition. The errors: ErrExists
// with d.Create, ErrBadSpec, ErrBadName, ErrNameTooLong, ErrOnlyRestart, ErrCycle, ErrNotFound and ErrStale for its place,
// ErrNotPermitted.
func (c *Client) Declare(ctx context.Context, d Declare) (Handle, error) {
	a, err := c.ask(ctx, "declare "+declared(d), Request{Declare: &d})
	return a.Handle, err
}

func declared(d Declare) string {
	p := d.Path.Path.String()
	switch {
	case d.Entity != nil:
		return d.Entity.Name
	case d.Condition != nil:
		return p + "/" + d.Condition.Name
	case d.Action != nil:
		return p + "/" + d.Action.Name
	}
	return p
}

// Attach puts a process under watch, or with PID 0 has HAM start the entity's command, and returns the handle of the entity. Without
// Start the process is the one that has the PID now. The errors: ErrRunning if the entity has another process, ErrBadSpec,
// ErrBadName, ErrNotPermitted, ErrStopping; and one of the system if there is no such process.
func (c *Client) Attach(ctx context.Context, a Attach) (Handle, error) {
	if a.PID > 0 && a.Start == 0 {
		id, err := proc.Identify(a.PID)
		if err != nil {
			return Handle{}, fmt.Errorf("cannot attach process %d as %s: %w", a.PID, a.Entity, err)
		}
		a.Start = id.Start
	}
	answer, err := c.ask(ctx, "attach "+a.Entity, Request{Attach: &a})
	return answer.Handle, err
}

// Detach ends the watch of an entity. The process goes on, unless Stop is set. The errors: ErrNotRunning, ErrNotFound,
// ErrStale, ErrNotPermitted.
func (c *Client) Detach(ctx context.Context, d Detach) error {
	_, err := c.ask(ctx, "detach "+d.Path.Path.String(), Request{Detach: &d})
	return err
}

// Remove takes an entity, condition or action out of the tree, with all below it. The errors: ErrRunning for an entity whose
// process runs, unless Stop is set; ErrNotFound, ErrStale, ErrNotPermitted.
func (c *Client) Remove(ctx context.Context, r Remove) error {
	_, err := c.ask(ctx, "remove "+r.Path.Path.String(), Request{Remove: &r})
	return err
}

// Control does a control verb. The value is that of the verbs that get something. The errors: ErrBadSpec for a verb that the place does
// not know, ErrNotRunning, ErrNotFound, ErrStale, ErrNotPermitted, ErrStopping.
func (c *Client) Control(ctx context.Context, r Control) (value int64, err error) {
	a, err := c.ask(ctx, fmt.Sprintf("%v %s", r.Verb, r.Path.Path), Request{Control: &r})
	return a.Value, err
}

// Raise raises a condition of an entity, for the process of the entity or who owns it. The errors: ErrNotFound, ErrNotPermitted.
func (c *Client) Raise(ctx context.Context, r Raise) error {
	_, err := c.ask(ctx, "raise a condition of "+r.Entity, Request{Raise: &r})
	return err
}

// ReportState says which state an entity has entered, for the process of the entity or who owns it. The errors: ErrNotFound,
// ErrStale, ErrNotPermitted.
func (c *Client) ReportState(ctx context.Context, r ReportState) error {
	_, err := c.ask(ctx, "report a state of "+r.Entity.Entity, Request{State: &r})
	return err
}

// ask has a request applied, once.
func (c *Client) ask(ctx context.Context, what string, r Request) (talk.Answer, error) {
	a, _, err := c.askVia(ctx, what, r)
	return a, err
}

// askVia also tells over which open it was granted. HAM's takeovers cost time only; a new HAM, which knows nothing of the
// open, is asked again if the old one cannot have granted it, or if that makes no difference.
func (c *Client) askVia(ctx context.Context, what string, r Request) (a talk.Answer, conn *receive.Conn, err error) {
	for {
		if conn, err = c.current(); err == nil {
			a, err = talk.Ask(ctx, conn, r)
		}
		if over(err) {
			if lost := c.redial(ctx, conn); lost != nil {
				return a, conn, fmt.Errorf("cannot %s: %w", what, errors.Join(lost, err))
			}
			if repeatable(r) || !receive.MayBeApplied(err) {
				continue
			}
			err = fmt.Errorf("%w: %w", ErrNewHAM, err)
		}
		if errors.Is(err, receive.ErrPathDown) {
			err = fmt.Errorf("%w: %w", ErrNoHAM, err)
		}
		if err != nil {
			return a, conn, fmt.Errorf("cannot %s: %w", what, err)
		}
		return a, conn, nil
	}
}

// over tells of errors after which an open is of no use any more: HAM was started anew, was stopped, or somebody else has noticed
// that and has closed it.
func over(err error) bool {
	return errors.Is(err, receive.ErrWrongID) || errors.Is(err, receive.ErrStopping) || errors.Is(err, receive.ErrNotOpen)
}

// repeatable tells of requests that, made twice, have the outcome of one.
func repeatable(r Request) bool {
	looks := r.Control != nil && (r.Control.Verb == VerbosityGet || r.Control.Verb == GetFlags)
	return looks || r.Attach != nil || r.Declare != nil && !r.Declare.Create
}
