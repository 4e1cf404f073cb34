package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// redisSet is a primary, a replica, and three sentinels that make the one the other.
type redisSet struct {
	w         *world
	servers   [2]*redisNode
	sentinels [3]*redisNode
	at        int // the server that the client uses
	conn      *redisConn
	waits     bool // for the replica: not after a failover, when there is none
}

// redisNode is one process.
type redisNode struct {
	*process
	addr string
}

var _ contestant = (*redisSet)(nil)

func newRedis(w *world) contestant { return &redisSet{w: w} }

const (
	redisMaster    = "counter" // as the sentinels call it
	redisDownAfter = 300       // ms; with 100 the sentinels take a primary they have just promoted for dead, and promote the other
	redisQuorum    = 2
)

func (r *redisSet) Start(ctx context.Context) error {
	if err := r.startServers(ctx); err != nil {
		return err
	}
	addrs, err := r.w.ports.addrs(len(r.sentinels))
	if err != nil {
		return err
	}
	for i := range r.sentinels {
		r.sentinels[i] = &redisNode{addr: addrs[i]}
		if err := r.watch(i); err != nil {
			return err
		}
	}
	return nil
}

// startServers starts the primary and its replica.
func (r *redisSet) startServers(ctx context.Context) error {
	addrs, err := r.w.ports.addrs(len(r.servers))
	if err != nil {
		return err
	}
	for i := range r.servers {
		r.servers[i] = &redisNode{addr: addrs[i]}
		if err := r.launch(i, i-1); err != nil {
			return err
		}
	}
	return until(ctx, "redis", func(context.Context) error { return r.replicates(0) })
}

// launch starts a server: as the replica of another, or (-1) as the primary.
func (r *redisSet) launch(i, of int) (err error) {
	n := r.servers[i]
	args := redisArgs(n.addr)
	if of >= 0 {
		host, port, _ := net.SplitHostPort(r.servers[of].addr)
		args = append(args, "--replicaof", host+" "+port)
	}
	n.process, err = r.w.run("redis-server", command{args: args})
	return err
}

// redisArgs is a server that keeps nothing on the disk, and sends a new replica its data at once.
func redisArgs(addr string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return []string{"redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--daemonize", "no",
		"--repl-diskless-sync-delay", "0", "--repl-diskless-load", "on-empty-db"}
}

// watch starts a sentinel.
func (r *redisSet) watch(i int) (err error) {
	n := r.sentinels[i]
	host, port, _ := net.SplitHostPort(n.addr)
	masterHost, masterPort, _ := net.SplitHostPort(r.servers[0].addr)
	path := filepath.Join(r.w.dir, fmt.Sprintf("sentinel-%d.conf", i))
	conf := fmt.Sprintf("bind %s\nport %s\ndir %s\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %[4]s %[8]d\nsentinel failover-timeout %[4]s 1000\n",
		host, port, r.w.dir, redisMaster, masterHost, masterPort, redisQuorum, redisDownAfter)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return err
	}
	n.process, err = r.w.run("redis-sentinel", command{args: []string{"redis-sentinel", path}})
	return err
}

func (r *redisSet) Serving(ctx context.Context) (pid int, err error) {
	if err := r.restore(ctx); err != nil {
		return 0, err
	}
	err = until(ctx, "redis", func(context.Context) error {
		for i, n := range r.servers {
			if err = r.replicates(i); err == nil {
				r.use(i)
				return r.watched(n.addr, true)
			}
		}
		return err
	})
	r.waits = true
	return r.servers[r.at].pid, err
}

// restore starts a server that was killed, as the replica of the other: as soon as all sentinels agree that the other is the
// primary, for until then they might make it follow the dead one.
func (r *redisSet) restore(ctx context.Context) error {
	for i, n := range r.servers {
		if !n.ended() {
			continue
		}
		other := r.servers[1-i]
		if err := until(ctx, "redis", func(context.Context) error { return r.watched(other.addr, false) }); err != nil {
			return err
		}
		if err := r.launch(i, 1-i); err != nil {
			return err
		}
	}
	return nil
}

// replicates says whether a server has a replica that is up to date.
func (r *redisSet) replicates(i int) error {
	c, err := dialRedis(r.servers[i].addr)
	if err != nil {
		return err
	}
	defer c.Close()
	info, err := c.do("INFO", "replication")
	if err != nil {
		return err
	}
	text := fmt.Sprint(info)
	if !strings.Contains(text, "role:master") || !strings.Contains(text, "state=online") {
		return errors.New("there is no primary with a replica")
	}
	return nil
}

// watched says whether all sentinels know that primary and each other as alive, and its replica too if they should.
func (r *redisSet) watched(primary string, replica bool) error {
	for _, s := range r.sentinels {
		c, err := dialRedis(s.addr)
		if err != nil {
			return err
		}
		err = sentinelKnows(c, primary)
		if err == nil && replica {
			err = sentinelKnowsReplica(c)
		}
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func sentinelKnows(c *redisConn, primary string) error {
	r, err := c.do("SENTINEL", "MASTER", redisMaster)
	if err != nil {
		return err
	}
	m := fields(r)
	if at := net.JoinHostPort(m["ip"], m["port"]); at != primary || m["flags"] != "master" || m["num-other-sentinels"] != "2" {
		return fmt.Errorf("a sentinel sees %s as %s, and %s other sentinels", at, m["flags"], m["num-other-sentinels"])
	}
	return nil
}

func sentinelKnowsReplica(c *redisConn) error {
	r, err := c.do("SENTINEL", "REPLICAS", redisMaster)
	if err != nil {
		return err
	}
	replicas, _ := r.([]any)
	if len(replicas) != 1 {
		return fmt.Errorf("a sentinel knows %d replicas", len(replicas))
	}
	if s := fields(replicas[0]); s["flags"] != "slave" { // with s_down or disconnected, it is down
		return fmt.Errorf("a sentinel sees the replica as %s", s["flags"])
	}
	return nil
}

// fields makes a map of a list of names and values.
func fields(reply any) map[string]string {
	list, _ := reply.([]any)
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return m
}

// use has the client talk to that server.
func (r *redisSet) use(i int) {
	if i != r.at {
		r.Stop()
		r.at = i
	}
}

// Add increments and, while there is a replica, waits until that has it. The client knows both servers: it need not ask a
// sentinel which of them is the primary.
func (r *redisSet) Add(ctx context.Context) (count int64, pid int, err error) {
	for {
		if count, err = r.add(); err == nil {
			return count, r.servers[r.at].pid, nil
		}
		if ctx.Err() != nil {
			return 0, 0, fmt.Errorf("no server adds: %w", errors.Join(ctx.Err(), err))
		}
		if !errors.Is(err, errNoReplica) { // that one is alive, and slow
			r.waits = false
			r.use(1 - r.at)
		}
		line.Pause()
	}
}

var errNoReplica = errors.New("redis: no replica has it")

func (r *redisSet) add() (count int64, err error) {
	if r.conn == nil {
		if r.conn, err = dialRedis(r.servers[r.at].addr); err != nil {
			r.conn = nil
			return 0, err
		}
	}
	c := r.conn
	c.add("INCR", "count")
	if r.waits {
		c.add("WAIT", "1", "500")
	}
	if err := c.send(); err != nil {
		return 0, err
	}
	if count, err = c.number(); err != nil || !r.waits {
		return count, err
	}
	have, err := c.number()
	if err == nil && have < 1 {
		err = errNoReplica
	}
	return count, err
}

// Stop is the contestant's.
func (r *redisSet) Stop() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}
