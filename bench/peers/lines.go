package main

import (
	"context"
	"fmt"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// lines is the client of a contestant that speaks the line protocol.
type lines struct {
	addrs  []string
	client *line.Client
}

func newLines(addrs ...string) lines { return lines{addrs: addrs, client: line.NewClient(addrs...)} }

// serving waits for a server that says that it serves and is protected, and has the client use it.
func (l lines) serving(ctx context.Context, what string) (pid int, err error) {
	err = until(ctx, what, func(ctx context.Context) (err error) {
		pid, err = l.find(ctx)
		return err
	})
	return pid, err
}

// find is serving without the waiting.
func (l lines) find(ctx context.Context) (pid int, err error) {
	pid, addr, err := l.who(ctx, line.Serving)
	l.client.Use(addr)
	return pid, err
}

// who returns the one server that has a role.
func (l lines) who(ctx context.Context, role string) (pid int, addr string, err error) {
	said := ""
	for _, addr := range l.addrs {
		is, pid, err := line.Role(ctx, addr)
		switch {
		case err != nil:
			said = fmt.Sprintf("%s; %s: %v", said, addr, err)
		case is == role:
			return pid, addr, nil
		default:
			said = fmt.Sprintf("%s; %s is %s", said, addr, is)
		}
	}
	return 0, "", fmt.Errorf("no server is %s%s", role, said)
}

// Add is the contestant's.
func (l lines) Add(ctx context.Context) (count int64, pid int, err error) { return l.client.Add(ctx) }

// Stop is the contestant's.
func (l lines) Stop() {
	if l.client != nil {
		l.client.Close()
	}
}
