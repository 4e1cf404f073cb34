package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// etcdCluster is members of etcd, each in a process, with their data on the disk.
type etcdCluster struct {
	w                *world
	name             string
	tickMS, electMS  int
	noFsync          bool
	members          []*etcdMember
	initial          string
	at               int   // the member that the client uses
	count, revision  int64 // of the key, as last seen by the client
	failing          bool
	attempt, retried time.Duration // how long a request may take, at first and after a failure
}

// etcdMember is one process, and a client of it alone.
type etcdMember struct {
	*process
	id           uint64
	name         string
	client, peer string // addresses
	*clientv3.Client
}

var _ contestant = (*etcdCluster)(nil)

const etcdKey = "count"

func newEtcd(tickMS, electMS int) func(*world) contestant {
	return func(w *world) contestant { return newEtcdCluster(w, tickMS, electMS, false) }
}

// newEtcdCluster sets the time after which a request is tried again: a proposal to a leader that died is lost without a word. A
// quarter of the election timeout does not delay the takeover.
func newEtcdCluster(w *world, tickMS, electMS int, noFsync bool) *etcdCluster {
	elect := time.Duration(electMS) * time.Millisecond
	return &etcdCluster{w: w, name: fmt.Sprintf("etcd-%d", electMS), tickMS: tickMS, electMS: electMS, noFsync: noFsync,
		attempt: 5 * time.Second, retried: elect / 4}
}

func (c *etcdCluster) Start(ctx context.Context) error { return c.start(ctx, 3) }

// start starts n members, and waits until one leads.
func (c *etcdCluster) start(ctx context.Context, n int) error {
	if c.noFsync {
		c.name += "-nofsync"
	}
	var initial []string
	for i := range n {
		addrs, err := c.w.ports.addrs(2)
		if err != nil {
			return err
		}
		m := &etcdMember{name: fmt.Sprint("m", i), client: "http://" + addrs[0], peer: "http://" + addrs[1]}
		c.members = append(c.members, m)
		initial = append(initial, m.name+"="+m.peer)
	}
	c.initial = strings.Join(initial, ",")
	for _, m := range c.members {
		if err := c.launch(m); err != nil {
			return err
		}
	}
	_, err := c.Serving(ctx)
	return err
}

// launch starts a member; if it has been there before, with the data it had.
func (c *etcdCluster) launch(m *etcdMember) (err error) {
	if m.Client != nil {
		_ = m.Close()
	}
	m.process, err = c.w.self(c.name, "etcd", m.name, filepath.Join(c.w.dir, c.name+"-"+m.name), m.client, m.peer, c.initial,
		strconv.Itoa(c.tickMS), strconv.Itoa(c.electMS), strconv.FormatBool(c.noFsync))
	if err != nil {
		return err
	}
	m.Client, err = clientv3.New(clientv3.Config{Endpoints: []string{m.client}, Logger: zap.NewNop(), DialTimeout: patience})
	return err
}

var errNotLevel = errors.New("the members do not agree yet")

// Serving returns the leader.
func (c *etcdCluster) Serving(ctx context.Context) (pid int, err error) {
	for _, m := range c.members {
		if m.ended() {
			if err := c.launch(m); err != nil {
				return 0, err
			}
		}
	}
	err = until(ctx, c.name, func(ctx context.Context) error {
		pid, err = c.leader(ctx)
		return err
	})
	return pid, err
}

// leader finds the member that leads according to all of them, and has the client use it. All must have applied the same.
func (c *etcdCluster) leader(ctx context.Context) (pid int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var first *clientv3.StatusResponse
	for _, m := range c.members {
		s, err := m.Status(ctx, m.client)
		if err != nil {
			return 0, err
		}
		m.id = s.Header.MemberId
		if first == nil {
			first = s
		}
		if s.Leader == 0 || s.Leader != first.Leader || s.RaftAppliedIndex != first.RaftAppliedIndex {
			return 0, errNotLevel
		}
	}
	for i, m := range c.members {
		if m.id == first.Leader {
			c.at = i
			return m.pid, nil
		}
	}
	return 0, errNotLevel
}

// Add puts one more than the count that was last seen, if nobody has done so meanwhile.
func (c *etcdCluster) Add(ctx context.Context) (count int64, pid int, err error) {
	for {
		m := c.members[c.at]
		done, err := c.add(ctx, m)
		switch {
		case done:
			c.failing = false
			return c.count, m.pid, nil
		case ctx.Err() != nil:
			return 0, 0, fmt.Errorf("%s does not add: %w", c.name, errors.Join(ctx.Err(), err))
		case err != nil:
			c.failing = true
			c.at = (c.at + 1) % len(c.members)
			line.Pause()
		}
	}
}

// add makes one attempt. Not done without an error: the count was another one, and is known now.
func (c *etcdCluster) add(ctx context.Context, m *etcdMember) (done bool, err error) {
	limit := c.attempt
	if c.failing {
		limit = c.retried
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	count, revision, done, err := addOne(ctx, m.Client, c.count, c.revision)
	if err == nil {
		c.count, c.revision = count, revision
	}
	return done, err
}

// addOne puts count+1 if the key still has that revision (and whatever else must hold), else it tells the present ones.
func addOne(ctx context.Context, client *clientv3.Client, count, revision int64, also ...clientv3.Cmp) (now, at int64, done bool, err error) {
	is := append(also, clientv3.Compare(clientv3.ModRevision(etcdKey), "=", revision))
	r, err := client.Txn(ctx).If(is...).Then(clientv3.OpPut(etcdKey, strconv.FormatInt(count+1, 10))).Else(clientv3.OpGet(etcdKey)).Commit()
	if err != nil {
		return count, revision, false, err
	}
	if r.Succeeded {
		return count + 1, r.Header.Revision, true, nil
	}
	kvs := r.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return 0, 0, false, nil
	}
	now, err = strconv.ParseInt(string(kvs[0].Value), 10, 64)
	return now, kvs[0].ModRevision, false, err
}

func (c *etcdCluster) Stop() {
	for _, m := range c.members {
		if m.Client != nil {
			_ = m.Close()
		}
	}
}
