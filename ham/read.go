package ham

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
)

// Root returns what HAM tells of itself.
func (c *Client) Root(ctx context.Context) (Root, error) {
	lines, err := c.lines(ctx, talk.Query{Op: talk.OpRoot})
	if err == nil && (len(lines) != 1 || lines[0].Root == nil) {
		err = errNonsense
	}
	if err != nil {
		return Root{}, fmt.Errorf("cannot read HAM's state: %w", err)
	}
	return *lines[0].Root, nil
}

// Records returns all entities in the order of their declaration. The global one is among them once something was declared for it.
func (c *Client) Records(ctx context.Context) ([]*Record, error) {
	lines, err := c.lines(ctx, talk.Query{Op: talk.OpEntities})
	if err != nil {
		return nil, fmt.Errorf("cannot read the entities: %w", err)
	}
	var out []*Record
	for _, l := range lines {
		if l.Entity != nil {
			out = append(out, l.Entity)
		}
	}
	return out, nil
}

// Entities returns the names of all entities, in the order of their declaration. The global one is always among them.
func (c *Client) Entities(ctx context.Context) (names []string, err error) {
	all, err := c.Records(ctx)
	for _, e := range all {
		names = append(names, e.Name)
	}
	if err == nil && !slices.Contains(names, Global) {
		names = append(names, Global)
	}
	return names, err
}

// Entity returns an entity, and when its last heartbeat came (zero: none did). If there is none, the error is ErrNotFound, and
// fs.ErrNotExist too.
func (c *Client) Entity(ctx context.Context, name string) (*Record, time.Time, error) {
	if len(name) > core.MaxPath {
		return nil, time.Time{}, fmt.Errorf("cannot read entity %.20q…: %w", name, &absent{})
	}
	lines, err := c.lines(ctx, talk.Query{Op: talk.OpEntities, Names: []string{name}})
	switch {
	case err != nil:
		return nil, time.Time{}, fmt.Errorf("cannot read entity %q: %w", name, err)
	case len(lines) == 0 && name == Global:
		return &Record{Name: Global, Kind: GlobalEntity, Owner: Owner{Admin: true}}, time.Time{}, nil
	case len(lines) == 0 || lines[0].Entity == nil:
		return nil, time.Time{}, fmt.Errorf("cannot read entity %q: %w", name, &absent{})
	}
	var beat time.Time
	if at := lines[0].LastBeat; at != 0 {
		beat = time.Unix(0, at)
	}
	return lines[0].Entity, beat, nil
}

// absent is the error for an entity that is not there, as the tree and as file systems have it.
type absent struct{}

func (*absent) Error() string   { return core.ErrNotFound.Error() }
func (*absent) Unwrap() []error { return []error{core.ErrNotFound, fs.ErrNotExist} }

// Running returns the action lists that run.
func (c *Client) Running(ctx context.Context) ([]Job, error) {
	lines, err := c.lines(ctx, talk.Query{Op: talk.OpRunning})
	if err != nil {
		return nil, fmt.Errorf("cannot read what runs: %w", err)
	}
	var out []Job
	for _, l := range lines {
		if l.Job != nil {
			out = append(out, *l.Job)
		}
	}
	return out, nil
}

// History returns what has happened, as far as it is kept, oldest first.
func (c *Client) History(ctx context.Context) ([]Happening, error) {
	lines, err := c.lines(ctx, talk.Query{Op: talk.OpHistory})
	if err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	var out []Happening
	for _, l := range lines {
		if l.Happening != nil {
			out = append(out, *l.Happening)
		}
	}
	return out, nil
}

// lines returns a complete answer. One that a takeover of HAM cuts short is asked for again.
func (c *Client) lines(ctx context.Context, q talk.Query) (out []talk.Line, err error) {
	for p := (patience{}); ; {
		out = out[:0]
		err := c.read(ctx, q, func(l talk.Line) bool {
			out = append(out, l)
			return true
		})
		if err == nil || !passes(err) {
			return out, err
		}
		if !p.wait(ctx) {
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// read asks the reading socket, and calls line with what it answers up to the end of the answer, or until line returns false. The
// error is ErrNoHAM when nobody listens, talk.ErrEnded when the answer is not complete.
func (c *Client) read(ctx context.Context, q talk.Query, line func(talk.Line) bool) error {
	if _, err := c.current(); err != nil {
		return err
	}
	err := talk.Read(ctx, c.opt.readPath(), q, line)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %w", ErrNoHAM, err)
	}
	return err
}

// passes tells of errors that go away when HAM's guardian takes over, when HAM is started again, or when fewer ask. What HAM itself
// says is wrong is of this kind: there is nothing else to be wrong with what we ask.
func passes(err error) bool {
	for _, final := range []error{context.Canceled, context.DeadlineExceeded, ErrClosed, ErrNewHAM, errNonsense, fs.ErrPermission} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

var errNonsense = errors.New("HAM answers something else")
