package main

import (
	"context"
	"fmt"
	"strconv"
)

// redisWait is a primary and a replica, without sentinels. Each caller has a connection.
type redisWait struct {
	*redisSet
	batch int
	conns []*redisConn
}

func newRedisWait(batch int) func(*world) replicator {
	return func(w *world) replicator { return &redisWait{redisSet: &redisSet{w: w}, batch: batch} }
}

func (r *redisWait) Start(ctx context.Context, callers int) error {
	if err := r.startServers(ctx); err != nil {
		return err
	}
	for range callers {
		c, err := dialRedis(r.servers[0].addr)
		if err != nil {
			return err
		}
		r.conns = append(r.conns, c)
	}
	return nil
}

func (r *redisWait) Update(_ context.Context, caller int, key uint32) error {
	c := r.conns[caller]
	value := string(payload())
	for i := range r.batch {
		c.add("SET", strconv.Itoa(int(key)+i), value)
	}
	c.add("WAIT", "1", "500")
	if err := c.send(); err != nil {
		return err
	}
	for range r.batch {
		if said, err := c.reply(); err != nil || said != "OK" {
			return fmt.Errorf("cannot set: %v: %w", said, err)
		}
	}
	if have, err := c.number(); err != nil || have < 1 {
		return fmt.Errorf("%w (%v)", errNoReplica, err)
	}
	return nil
}

func (r *redisWait) Stop() {
	for _, c := range r.conns {
		_ = c.Close()
	}
}
