package pair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// Commands to a running pair, over a connection of its own.
const (
	commandSwitch  = "switch"
	commandStop    = "stop"
	commandUpgrade = "upgrade" // body: the path of the program
	commandRenew   = "renew"   // body: the build that both members are to have
)

// command does what an administrator asks for.
func (m *member) command(c *conn, f *wire.Frame) {
	switch string(f.Method) {
	case commandSwitch:
		m.askers = append(m.askers, c)
		m.step(event{kind: evSwitch})
	case commandStop:
		m.reply(c, f.ID, 0, nil)
		m.flush()
		m.step(event{kind: evStop})
	case commandUpgrade:
		m.upgradeAsked(c, string(f.Body))
	case commandRenew:
		m.renewAsked(c, string(f.Body))
	default:
		m.reply(c, f.ID, 1, fmt.Appendf(nil, "unknown command %q: expected %s, %s or %s", f.Method, commandSwitch, commandStop, commandUpgrade))
	}
}

// switched answers those who asked for a switch.
func (m *member) switched(err error) {
	for _, c := range m.askers {
		m.answerCommand(c, err)
	}
	m.askers = nil
}

// answerCommand tells an administrator the outcome of a command, at once.
func (m *member) answerCommand(c *conn, err error) {
	if c.fd < 0 {
		return
	}
	var code int64
	var text string
	if err != nil {
		code, text = refusalCode(err)
	}
	pkt, err := wire.Pack(nil, m.roles.epoch, &wire.Frame{Kind: wire.KindReply, ID: 1, Low: uint64(code), Body: []byte(text)})
	if err == nil {
		_ = sock.Send(c.fd, pkt)
	}
}

func refuseFrame(err error) *wire.Frame {
	code, text := refusalCode(err)
	return &wire.Frame{Kind: wire.KindRefuse, Low: uint64(code), Body: []byte(text)}
}

// Switch makes the backup of the pair called name its primary and the primary its backup, and returns when the old
// primary has become the backup (NonStop: CHECKSWITCH). dir is the run directory; empty: the default. The errors are
// ErrNotRunning, ErrNotSynchronised, ErrStopping, or ctx's.
func Switch(ctx context.Context, dir, name string) error {
	if err := command(ctx, dir, name, commandSwitch, "", nil); err != nil {
		return fmt.Errorf("cannot switch %s: %w", name, err)
	}
	return nil
}

// Stop ends both members of the pair called name and returns when they are gone. dir is the run directory; empty: the
// default. The error is ErrNotRunning if there is none, or ctx's.
func Stop(ctx context.Context, dir, name string) error {
	if err := stopPair(ctx, dir, name); err != nil {
		return fmt.Errorf("cannot stop %s: %w", name, err)
	}
	return nil
}

func stopPair(ctx context.Context, dir, name string) error {
	root, err := rootDir(dir)
	if err != nil {
		return err
	}
	err = command(ctx, dir, name, commandStop, "", nil)
	for errors.Is(err, errRetry) { // the roles have just changed: the next one is asked
		if err = sleep(ctx, joinPause); err != nil {
			return err
		}
		if err = command(ctx, dir, name, commandStop, "", nil); errors.Is(err, ErrNotRunning) {
			err = nil // the one before had heard
		}
	}
	if err != nil {
		return err
	}
	d, err := registry.Open(root, name)
	if err != nil {
		return err
	}
	defer d.Close()
	for { // the lock goes with the last of them
		fd, err := d.Lock()
		if err == nil {
			return unix.Close(fd)
		}
		if !errors.Is(err, registry.ErrHeld) {
			return err
		}
		if err := sleep(ctx, joinPause); err != nil {
			return err
		}
	}
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func rootDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	return registry.Root()
}

// command sends one command and waits for the answer. told, if it is not nil, gets the notices that come before.
func command(ctx context.Context, dir, name, what, arg string, told func(*wire.Frame)) error {
	root, err := rootDir(dir)
	if err != nil {
		return err
	}
	path, err := registry.SocketPath(root, name)
	if err != nil {
		return err
	}
	fd, err := sock.Dial(ctx, path)
	if errors.Is(err, sock.ErrNotListening) {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	body, err := wire.Marshal(&wire.Hello{Role: wire.RoleAdmin, Name: name})
	if err != nil {
		return err
	}
	pkt := wire.Begin(nil)
	for _, f := range []wire.Frame{{Kind: wire.KindHello, Body: body}, {Kind: wire.KindRequest, ID: 1, Method: []byte(what), Body: []byte(arg)}} {
		if pkt, err = wire.Append(pkt, &f); err != nil {
			return err
		}
	}
	wire.Finish(pkt, 0)
	if err := sock.Send(fd, pkt); err != nil {
		return fmt.Errorf("%w: %w", errRetry, err)
	}
	return commandAnswer(ctx, fd, told)
}

func commandAnswer(ctx context.Context, fd int, told func(*wire.Frame)) error {
	buf := make([]byte, wire.MaxPacket)
	for ctx.Err() == nil {
		n, err := sock.Recv(fd, buf)
		if errors.Is(err, sock.ErrAgain) {
			if _, err := sock.WaitReadable(fd, 50*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errRetry, err)
		}
		pkt, err := wire.Parse(buf[:n])
		var f wire.Frame
		for err == nil {
			var ok bool
			if ok, err = pkt.Next(&f); err != nil || !ok {
				break
			}
			switch {
			case f.Kind == wire.KindRefuse || f.Kind == wire.KindBye || f.Kind == wire.KindReply && f.Code() != 0:
				return refusal(f.Code(), string(f.Body))
			case f.Kind == wire.KindReply:
				return nil
			case f.Kind == wire.KindNotice && told != nil:
				told(&f)
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
