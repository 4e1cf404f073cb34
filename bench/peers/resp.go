package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// redisConn is one connection to a Redis server. Commands may be sent together and their replies read afterwards.
type redisConn struct {
	net.Conn
	in  *bufio.Reader
	out []byte
}

// redisError is a reply that says no.
type redisError string

func (e redisError) Error() string { return "redis: " + string(e) }

const (
	redisPatience = time.Second // with a reply
	redisLargest  = 1 << 20     // bytes of a text, or elements of a list
)

func dialRedis(addr string) (*redisConn, error) {
	c, err := net.DialTimeout("tcp", addr, redisPatience)
	if err != nil {
		return nil, err
	}
	return &redisConn{Conn: c, in: bufio.NewReader(c)}, nil
}

// add makes one more command of what will be sent.
func (c *redisConn) add(words ...string) {
	c.out = fmt.Appendf(c.out, "*%d\r\n", len(words))
	for _, w := range words {
		c.out = append(strconv.AppendInt(append(c.out, '$'), int64(len(w)), 10), "\r\n"...)
		c.out = append(append(c.out, w...), "\r\n"...)
	}
}

// send sends the commands that were added.
func (c *redisConn) send() error {
	_ = c.SetDeadline(time.Now().Add(redisPatience))
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// do sends one command and returns its reply.
func (c *redisConn) do(words ...string) (any, error) {
	c.add(words...)
	if err := c.send(); err != nil {
		return nil, err
	}
	return c.reply()
}

// reply reads one: an int64, a string, or a slice of replies. A null is "".
func (c *redisConn) reply() (any, error) {
	head, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(head) < 3 {
		return nil, fmt.Errorf("cannot read the reply %q", head)
	}
	kind, text := head[0], head[1:len(head)-2]
	switch kind {
	case '+':
		return string(text), nil
	case '-':
		return nil, redisError(text)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the reply %q: %w", head, err)
	case kind == ':':
		return n, nil
	case n < 0:
		return "", nil
	case n > redisLargest:
		return nil, fmt.Errorf("cannot read a reply of %d", n)
	case kind == '$':
		b := make([]byte, n+2)
		_, err := io.ReadFull(c.in, b)
		return string(b[:n]), err
	case kind == '*':
		return c.replies(int(n))
	}
	return nil, fmt.Errorf("cannot read the reply %q", head)
}

// replies reads n of them. One that says no is an element like others.
func (c *redisConn) replies(n int) (all []any, err error) {
	for range n {
		r, err := c.reply()
		if refused := redisError(""); errors.As(err, &refused) {
			r, err = refused, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// number reads a reply that must be one.
func (c *redisConn) number() (int64, error) {
	r, err := c.reply()
	if err != nil {
		return 0, err
	}
	n, ok := r.(int64)
	if !ok {
		return 0, fmt.Errorf("cannot take %v for a number", r)
	}
	return n, nil
}
