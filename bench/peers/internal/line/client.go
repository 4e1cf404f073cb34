package line

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNo is the answer of a server that does not serve.
var ErrNo = errors.New("it does not serve")

const (
	attempt = time.Second            // how long a server may take to answer
	between = 200 * time.Microsecond // attempts
)

// Client asks the server that answered last and, as soon as that one does not, the others in turn. It is one connection and
// one request at a time, for one goroutine.
type Client struct {
	addrs []string
	at    int
	conn  net.Conn
	in    *bufio.Reader
}

// NewClient returns a client of servers that are one service.
func NewClient(addrs ...string) *Client { return &Client{addrs: addrs} }

// Add asks for an addition until it is acknowledged, or until ctx ends. It returns the count, and the process that answered.
func (c *Client) Add(ctx context.Context) (count int64, pid int, err error) {
	for {
		if count, pid, err = c.add(ctx); err == nil {
			return count, pid, nil
		}
		if ctx.Err() != nil {
			return 0, 0, fmt.Errorf("no server adds: %w", errors.Join(ctx.Err(), err))
		}
		c.Close()
		c.at = (c.at + 1) % len(c.addrs)
		Pause()
	}
}

// Use has the client ask that server from now on, as long as it answers.
func (c *Client) Use(addr string) {
	if i := slices.Index(c.addrs, addr); i >= 0 && i != c.at {
		c.Close()
		c.at = i
	}
}

// Pause is the time between two attempts. It is slept in the kernel: the runtime's timers would make a millisecond of it.
func Pause() {
	d := unix.NsecToTimespec(int64(between))
	_ = unix.Nanosleep(&d, nil)
}

func (c *Client) add(ctx context.Context) (count int64, pid int, err error) {
	answer, err := c.ask(ctx, "add")
	if err != nil {
		return 0, 0, err
	}
	if answer == No {
		return 0, 0, ErrNo
	}
	if _, err := fmt.Sscan(answer, &count, &pid); err != nil {
		return 0, 0, fmt.Errorf("cannot read the answer %q: %w", answer, err)
	}
	return count, pid, nil
}

func (c *Client) ask(ctx context.Context, question string) (answer string, err error) {
	if c.conn == nil {
		d := net.Dialer{Timeout: attempt}
		if c.conn, err = d.DialContext(ctx, "tcp", c.addrs[c.at]); err != nil {
			return "", err
		}
		c.in = bufio.NewReader(c.conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(attempt))
	if _, err := fmt.Fprintln(c.conn, question); err != nil {
		return "", err
	}
	answer, err = c.in.ReadString('\n')
	return strings.TrimSpace(answer), err
}

// Close ends the connection; the next Add makes another.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Ask asks one server one thing, over a connection of its own.
func Ask(ctx context.Context, addr, question string) (answer string, err error) {
	c := NewClient(addr)
	defer c.Close()
	return c.ask(ctx, question)
}

// Role asks one server what it is.
func Role(ctx context.Context, addr string) (role string, pid int, err error) {
	answer, err := Ask(ctx, addr, "role")
	if err != nil {
		return "", 0, err
	}
	if _, err := fmt.Sscan(answer, &role, &pid); err != nil {
		return "", 0, fmt.Errorf("cannot read the role %q: %w", answer, err)
	}
	return role, pid, nil
}
