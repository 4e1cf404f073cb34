// Package line is the least protocol by which a client can ask for an addition: a line there, a line back, over TCP.
//
// Invariant: a server answers each line with exactly one; a count is answered only after it is as safe as that server makes it.
//
//	add   COUNT PID, or "no" from a server that does not serve
//	role  ROLE PID
package line

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
)

// What a server says of itself. Serving: it answers add. Alone: it does, but nobody would take over. Waiting: it does not.
const (
	Serving = "serving"
	Alone   = "alone"
	Waiting = "waiting"
)

// No is the answer of a server that does not serve.
const No = "no"

// Counter is what a server answers with. Add returns false if this process does not serve. Both may be called at the same time.
type Counter interface {
	Add() (count int64, ok bool)
	Role() string
}

// Serve answers the lines of all who connect, until the listener fails. Words that it does not know go to other, which may be nil.
func Serve(l net.Listener, c Counter, other func(words []string) string) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return fmt.Errorf("cannot accept a client: %w", err)
		}
		go answer(conn, c, other)
	}
}

func answer(conn net.Conn, c Counter, other func(words []string) string) {
	defer conn.Close()
	for in := bufio.NewScanner(conn); in.Scan(); {
		if _, err := fmt.Fprintln(conn, reply(strings.Fields(in.Text()), c, other)); err != nil {
			return
		}
	}
}

func reply(words []string, c Counter, other func(words []string) string) string {
	switch {
	case len(words) == 1 && words[0] == "add":
		if n, ok := c.Add(); ok {
			return fmt.Sprint(n, " ", os.Getpid())
		}
	case len(words) == 1 && words[0] == "role":
		return fmt.Sprint(c.Role(), " ", os.Getpid())
	case len(words) > 0 && other != nil:
		return other(words)
	}
	return No
}
