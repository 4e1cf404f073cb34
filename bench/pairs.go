package main

import (
	"context"
	"strconv"
	"time"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// pairUnderTest is a running service and a connection to it.
type pairUnderTest struct {
	w    *world
	name string
	conn *receive.Conn
}

const startWithin = 30 * time.Second // for a pair of large processes on a busy machine

func protected(p *registry.Page) bool {
	return p.Primary != nil && p.Backup != nil && p.Backup.Synchronised
}

// startPair starts the service as a pair, or alone, waits until it is complete, and opens it.
func (w *world) startPair(ctx context.Context, name string, mode pair.Mode, alone bool, touchMiB int) (*pairUnderTest, error) {
	args := []string{"--name", name, "--mode", mode.String(), "--touch", strconv.Itoa(touchMiB)}
	if alone {
		args = append(args, "--alone")
	}
	p, err := w.spawn(nil, "service", args...)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	t := &pairUnderTest{w: w, name: name}
	if alone {
		_, err = t.await(ctx, "started", func(p *registry.Page) bool { return p.Primary != nil })
	} else {
		_, err = t.await(ctx, "protected", protected)
	}
	if err != nil {
		return nil, err
	}
	t.conn, err = receive.Dial(ctx, name, receive.RunDir(w.runDir()))
	return t, err
}

func (t *pairUnderTest) await(ctx context.Context, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return t.w.awaitPage(ctx, t.name, time.Millisecond, startWithin, what, ok)
}

// stop ends the pair as an operator would, so that profiles are written.
func (t *pairUnderTest) stop(ctx context.Context) error {
	_ = t.conn.Close()
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return pair.Stop(ctx, t.w.runDir(), t.name)
}

// member takes hold of one process of the pair.
func member(m *registry.Member) (*proc.Process, error) {
	return proc.Open(proc.ID{PID: m.PID, Start: m.Start})
}
