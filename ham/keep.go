package ham

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// attempt bounds one attempt to be known to HAM again.
const attempt = 10 * time.Second

// keeper keeps the processes of a client attached. It watches the process that is HAM, which costs HAM nothing, and when that
// ends makes sure that HAM knows them: the guardian does, that took over; a HAM that had to be started anew is told again.
type keeper struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func newKeeper(c *Client) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(k.ended)
		c.keep(ctx)
	}()
	return k
}

// stop ends the keeper, if there is one, and waits for its end.
func (k *keeper) stop() {
	if k == nil {
		return
	}
	k.cancel()
	<-k.ended
}

// keep tries again as long as it takes: now and then an attempt costs next to nothing.
func (c *Client) keep(ctx context.Context) {
	var p patience
	for ctx.Err() == nil {
		err := c.keepOnce(ctx)
		if err == nil {
			p = patience{}
			continue
		}
		if ctx.Err() == nil && p.pause < restPause {
			c.opt.log.Warn("HAM does not know this process at present", "cause", err)
		}
		sleep(ctx, p.next(restPause))
	}
}

// keepOnce returns nil when HAM knew everybody, and has ended since.
func (c *Client) keepOnce(ctx context.Context) error {
	gone, err := c.present(ctx)
	if err != nil {
		return err
	}
	defer gone.Close()
	if err := awaitExit(ctx, gone); err != nil {
		return err
	}
	c.opt.log.Debug("the process that was HAM has ended")
	return nil
}

// present makes sure that HAM knows everybody, and returns a pidfd of the process that it is.
func (c *Client) present(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	before, err := c.Root(ctx)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(before.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch HAM: %w", err)
	}
	gone := os.NewFile(uintptr(fd), "pidfd")
	if err := c.restore(ctx); err != nil {
		_ = gone.Close()
		return nil, err
	}
	now, err := c.Root(ctx)
	if err == nil && now.PID != before.PID {
		err = errors.New("HAM is another process by now") // and whose pid that was, nobody knows
	}
	if err != nil {
		_ = gone.Close()
		return nil, err
	}
	return gone, nil
}

// restore attaches those whom HAM does not know.
func (c *Client) restore(ctx context.Context) error {
	conn, err := c.ping(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	all := make([]*Self, 0, len(c.selves))
	for s := range c.selves {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		if e := s.renew(ctx, conn); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

// awaitExit waits for the end of a process. It takes no thread.
func awaitExit(ctx context.Context, pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Unix(1, 0)) })()
	return raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, _ := unix.Poll(fds, 0)
		return n > 0
	})
}
