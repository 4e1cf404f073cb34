package main

import (
	"context"
	"strconv"
)

// etcdPut is a cluster like the one that counts. All callers use one client, of the leader.
type etcdPut struct{ *etcdCluster }

func newEtcdPut(noFsync bool) func(*world) replicator {
	return func(w *world) replicator { return etcdPut{newEtcdCluster(w, 100, 1000, noFsync)} }
}

func (e etcdPut) Start(ctx context.Context, _ int) error { return e.etcdCluster.Start(ctx) }

func (e etcdPut) Update(ctx context.Context, _ int, key uint32) error {
	_, err := e.members[e.at].Put(ctx, strconv.Itoa(int(key)), string(payload()))
	return err
}
