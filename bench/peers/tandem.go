package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/ours"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/receive"
)

// tandem is a process pair with everything at its default. The members start each other.
type tandem struct {
	w    *world
	name string
	conn *receive.Conn
}

var _ contestant = (*tandem)(nil)

func newTandem(w *world) contestant { return &tandem{w: w, name: "counter"} }

func (t *tandem) runDir() string { return filepath.Join(t.w.dir, "run") }

func (t *tandem) Start(ctx context.Context) error {
	small, err := t.w.small()
	if err != nil {
		return err
	}
	_, err = t.w.run("tandem", command{args: []string{small, "member", t.name, strconv.Itoa(os.Getpid())},
		env: []string{"TANDEM_DIR=" + t.runDir()}})
	if err != nil {
		return err
	}
	t.conn, err = receive.Dial(ctx, t.name, receive.RunDir(t.runDir()))
	return err
}

var errUnprotected = errors.New("it has no synchronised backup")

func (t *tandem) Serving(ctx context.Context) (pid int, err error) {
	err = until(ctx, t.name, func(context.Context) error {
		p, err := registry.Read(t.runDir(), t.name)
		if err != nil {
			return err
		}
		if p.Primary == nil || p.Backup == nil || !p.Backup.Synchronised || p.Epoch != t.conn.Epoch() { // another epoch: of before the last kill
			return errUnprotected
		}
		pid = p.Primary.PID
		return nil
	})
	return pid, err
}

func (t *tandem) Add(ctx context.Context) (count int64, pid int, err error) {
	a, err := receive.Call[ours.Added](ctx, t.conn, ours.MethodAdd, int64(1))
	return a.Count, a.PID, err
}

func (t *tandem) Stop() {
	if t.conn != nil {
		_ = t.conn.Close()
	}
}
