package main

import (
	"context"
	"path/filepath"
)

// restart is one process with its state on the disk, and a parent that starts it again at once.
type restart struct {
	w *world
	lines
}

var _ contestant = (*restart)(nil)

func newRestart(w *world) contestant { return &restart{w: w} }

func (r *restart) Start(context.Context) error {
	small, err := r.w.small()
	if err != nil {
		return err
	}
	addr, err := r.w.ports.addr()
	if err != nil {
		return err
	}
	r.lines = newLines(addr)
	_, err = r.w.run("restart", command{args: []string{small, "supervise", filepath.Join(r.w.dir, "journal"), addr}})
	return err
}

func (r *restart) Serving(ctx context.Context) (pid int, err error) {
	return r.serving(ctx, "restart")
}
