package talk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// ErrEnded means that an answer ended before it was complete: HAM, or this half of it, is gone. Ask again.
var ErrEnded = errors.New("the answer ended early")

// Read sends a query to the reading socket at path and calls line for each line of the answer, but for the one that ends it. It
// returns when the answer is complete, line returns false, or ctx ends. The error is ErrEnded, ctx's, the system's if nobody
// listens there, or what HAM says.
func Read(ctx context.Context, path string, q Query, line func(Line) bool) error {
	b, err := json.Marshal(&q)
	if err != nil {
		return fmt.Errorf("cannot ask HAM: %w", err)
	}
	if len(b) >= MaxQuery {
		return fmt.Errorf("cannot ask HAM: a query of %d bytes, expected less than %d", len(b), MaxQuery)
	}
	c, err := dial(ctx, path)
	if err != nil {
		return fmt.Errorf("cannot ask HAM: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := c.Write(append(b, '\n')); err != nil {
		return ended(ctx, err)
	}
	for r := json.NewDecoder(bufio.NewReader(c)); ; {
		var l Line
		err := r.Decode(&l)
		switch {
		case err != nil:
			return ended(ctx, err)
		case l.Error != "":
			return errors.New(l.Error)
		case l.End, !line(l):
			return nil
		}
	}
}

// ended tells why an answer is not complete.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		return ErrEnded
	}
	return fmt.Errorf("%w: %w", ErrEnded, err)
}

// dial connects to a socket whose path may be longer than a socket's address.
func dial(ctx context.Context, path string) (net.Conn, error) {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return (&net.Dialer{}).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), filepath.Base(path)))
}
