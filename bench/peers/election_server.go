package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

var errLeaseLost = errors.New("cannot stay in office: the lease is lost")

// candidate is a server that wants to be elected. Until it is, it serves nobody.
type candidate struct {
	client          *clientv3.Client
	office          clientv3.Cmp // holds as long as it is in office
	elected         atomic.Bool
	mu              sync.Mutex // held by who adds
	count, revision int64
}

// leaseSeconds is the shortest that etcd grants.
const leaseSeconds = 1

// electionProcess is the process of a server: ETCD-URL LINE-ADDRESS.
func electionProcess(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("cannot run a candidate with %q", args)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: args[:1], Logger: zap.NewNop(), DialTimeout: patience})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	c := &candidate{client: client}
	ended := make(chan error, 2)
	go func() { ended <- line.Serve(l, c, nil) }()
	go func() { ended <- c.campaign() }()
	return <-ended
}

// campaign returns when the lease is lost: then the process ends, and another is started.
func (c *candidate) campaign() error {
	s, err := concurrency.NewSession(c.client, concurrency.WithTTL(leaseSeconds))
	if err != nil {
		return err
	}
	e := concurrency.NewElection(s, "office")
	if err := e.Campaign(context.Background(), "candidate"); err != nil {
		return err
	}
	r, err := c.client.Get(context.Background(), etcdKey)
	if err != nil {
		return err
	}
	if len(r.Kvs) > 0 {
		c.revision = r.Kvs[0].ModRevision
		if _, err := fmt.Sscan(string(r.Kvs[0].Value), &c.count); err != nil {
			return err
		}
	}
	c.office = clientv3.Compare(clientv3.CreateRevision(e.Key()), "=", e.Rev())
	c.elected.Store(true)
	<-s.Done()
	return errLeaseLost
}

// Add puts the next count into etcd, if this process is still in office.
func (c *candidate) Add() (int64, bool) {
	if !c.elected.Load() {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	now, at, done, err := addOne(ctx, c.client, c.count, c.revision, c.office)
	if err == nil {
		c.count, c.revision = now, at
	}
	return now, done
}

// Role is Serving from the election on.
func (c *candidate) Role() string {
	if c.elected.Load() {
		return line.Serving
	}
	return line.Waiting
}
