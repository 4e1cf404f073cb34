package hands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// running is a command that has been started.
type running struct {
	target target
	stream *stream   // nil: its output does not pass through here
	ended  chan exit // gets one
}

// runCommand runs the command of an action, or goes on with the one that was started under this ID before.
func (h *Hands) runCommand(o *op, r core.RunCommand) {
	if len(r.Command.Argv) > 0 && r.Command.Argv[0] == DumpCommand {
		o.done(h.dump(r), nil)
		return
	}
	c, err := h.findCommand(o, r)
	if c == nil && err == nil {
		c, err = h.startCommand(o, r)
	}
	if err != nil {
		o.done(err, nil)
		return
	}
	if r.Background {
		o.done(nil, nil)
	}
	h.finishCommand(o, r, c)
}

// startCommand starts a command.
func (h *Hands) startCommand(o *op, r core.RunCommand) (*running, error) {
	as, err := identify(r.As, r.Command.User, r.Command.Group)
	if err != nil {
		return nil, err
	}
	p := &program{}
	defer p.closeFiles()
	if err := p.launch.declare(r.Command, as); err != nil {
		return nil, err
	}
	env := h.newEnvironment(r.ID, r.Command, r.As, as)
	env.describe(r.Path, r.Cause)
	p.launch.env = env.vars
	place := h.placeOfCommand(r.ID)
	stream, err := p.open(h, place, note{Label: r.Path.String(), Output: r.Command.Output, As: r.As})
	if stream != nil {
		defer h.streams.abandon(place) // it goes when its output has been read
	}
	if err != nil {
		return nil, err
	}
	id, pidfd, err := h.start(&p.launch)
	if err != nil {
		return nil, err
	}
	return h.follow(o, r, id, pidfd, true, stream)
}

// findCommand returns the command that was started under this ID before, nil if there is none that lives.
func (h *Hands) findCommand(o *op, r core.RunCommand) (*running, error) {
	if !r.Again {
		return nil, nil
	}
	id, ok := h.findSpawned(r.ID)
	if !ok {
		return nil, nil
	}
	pidfd, id, err := openPidfd(id)
	if errors.Is(err, proc.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot watch process %v: %w", id, err)
	}
	return h.follow(o, r, id, pidfd, false, h.streams.at(h.placeOfCommand(r.ID)))
}

// follow watches a command. It takes over the pidfd.
func (h *Hands) follow(o *op, r core.RunCommand, id proc.ID, pidfd int, child bool, s *stream) (*running, error) {
	own, err := unix.FcntlInt(uintptr(pidfd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		unix.Close(pidfd)
		return nil, fmt.Errorf("cannot watch process %v: %w", id, err)
	}
	c := &running{target: target{id: id, pidfd: own, group: true, owner: r.As}, stream: s, ended: make(chan exit, 1)}
	if _, err := h.watcher.watch(id, pidfd, child, func(x exit) { c.ended <- x }); err != nil {
		if o.wasCancelled() { // and then the hands were closed: nobody else is to go on with it
			_ = sendSignal(own, id.PID, unix.SIGKILL, true)
		}
		unix.Close(own)
		return nil, err
	}
	return c, nil
}

// finishCommand waits for the end of a command and tells it. After Close it goes on: others wait for it.
func (h *Hands) finishCommand(o *op, r core.RunCommand, c *running) {
	defer unix.Close(c.target.pidfd)
	ctx := o.ctx
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	select {
	case x := <-c.ended:
		e, err := x.event(), h.judge(c, x)
		if err != nil && r.Background {
			h.say(slog.LevelWarn, "a command in the background has failed", "of", r.Path.String(), "error", err)
		}
		o.done(err, &e)
	case <-ctx.Done():
		if o.ctx.Err() != nil && !o.wasCancelled() {
			return
		}
		o.done(c.kill(h.ctx, fmt.Errorf("killed after %v", r.Timeout)), nil)
	}
}

// judge returns the error of a command that did not end well, with what it said last.
func (h *Hands) judge(c *running, x exit) error {
	text := x.text()
	if text == "" {
		return nil
	}
	if c.stream != nil {
		if said := h.streams.final(c.stream); said != "" {
			text += ": " + said
		}
	}
	return errors.New(text)
}

// killPatience is how long a command may take to die of SIGKILL.
const killPatience = 5 * time.Second

// kill kills a command and its process group, waits for the end, and returns why.
func (c *running) kill(ctx context.Context, why error) error {
	// Not as its owner: it may have become somebody else, and is ours to end.
	err := sendSignal(c.target.pidfd, c.target.id.PID, unix.SIGKILL, true)
	if err != nil && !errors.Is(err, proc.ErrGone) {
		return fmt.Errorf("%w: %w", why, err)
	}
	if gone, err := c.target.await(ctx, killPatience); err != nil || !gone {
		return fmt.Errorf("%w, and lives", why)
	}
	return why
}
