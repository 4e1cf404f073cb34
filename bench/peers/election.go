package main

import (
	"context"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// election is two servers of which etcd elects one; the count is in etcd. The one that serves is killed, etcd goes on: it
// has a single member.
type election struct {
	w       *world
	store   *etcdCluster
	servers [2]*process
	lines
}

var _ contestant = (*election)(nil)

func newElection(w *world) contestant {
	return &election{w: w, store: newEtcdCluster(w, 10, 100, false)}
}

func (e *election) Start(ctx context.Context) error {
	e.store.name = "etcd-of-election"
	if err := e.store.start(ctx, 1); err != nil {
		return err
	}
	addrs, err := e.w.ports.addrs(len(e.servers))
	if err != nil {
		return err
	}
	e.lines = newLines(addrs...)
	return e.launch()
}

// launch starts the servers that do not run.
func (e *election) launch() (err error) {
	for i, p := range e.servers {
		if p != nil && !p.ended() {
			continue
		}
		if e.servers[i], err = e.w.self("election", "election", e.store.members[0].client, e.addrs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Serving also starts servers again that have lost their lease: on a starved machine that may happen to a living one.
func (e *election) Serving(ctx context.Context) (pid int, err error) {
	err = until(ctx, "election", func(ctx context.Context) error {
		if err := e.launch(); err != nil {
			return err
		}
		if _, _, err := e.who(ctx, line.Waiting); err != nil {
			return err
		}
		pid, err = e.find(ctx)
		return err
	})
	return pid, err
}

func (e *election) Stop() {
	e.lines.Stop()
	e.store.Stop()
}
