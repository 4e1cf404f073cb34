package main

import (
	"context"
	"os/exec"
)

// contestant keeps a counter behind a name. One client uses it: its methods are called by one goroutine at a time.
type contestant interface {
	// Start starts all of its processes.
	Start(ctx context.Context) error
	// Serving returns the process that serves, as soon as another kill can be survived. What the last one took is started again
	// here. The client is with that process afterwards.
	Serving(ctx context.Context) (pid int, err error)
	// Add adds 1, and tries until that is acknowledged or ctx ends. It returns the count, and the process that answered.
	Add(ctx context.Context) (count int64, pid int, err error)
	// Stop ends the client's connections. Processes end with the world.
	Stop()
}

// entry is a contestant in the list of all.
type entry struct {
	name  string
	what  string // its settings, in a few words
	slow  int    // kills with --quick, if each takes seconds until the next can be; those of others are not limited
	needs []program
	make  func(w *world) contestant
}

// program is one that is not part of this module.
type program struct{ command, pkg string }

var (
	redisServer   = program{"redis-server", "redis-server"}
	redisSentinel = program{"redis-sentinel", "redis-sentinel"}
	erl           = program{"erl", "erlang-base"}
	erlc          = program{"erlc", "erlang-base"}
	epmd          = program{"epmd", "erlang-base"}
)

// entries lists all contestants, ours first.
func entries() []entry {
	return []entry{
		{name: "tandem", what: "process pair, primary-computes, defaults", make: newTandem},
		{name: "erlang", what: "2 nodes, gen_servers, copy before reply, monitor_nodes", needs: []program{erl, erlc, epmd}, make: newErlang},
		{name: "restart", what: "1 process, fdatasync per addition, restarted by its parent", make: newRestart},
		{name: "raft-tuned", what: "hashicorp/raft, 3 processes, in memory, 50/50/25/5 ms", make: newRaft(true)},
		{name: "etcd-tuned", what: "3 members, tick 10 ms, election 100 ms", make: newEtcd(10, 100)},
		{name: "redis", what: "primary, replica, 3 sentinels, down-after 300 ms, WAIT 1", slow: 2, needs: []program{redisServer, redisSentinel}, make: newRedis},
		{name: "etcd-election", what: "2 servers, lease of 1 s on 1 member (10/100 ms)", slow: 1, make: newElection},
		{name: "etcd", what: "3 members, as shipped: tick 100 ms, election 1000 ms", slow: 1, make: newEtcd(100, 1000)},
		{name: "raft", what: "hashicorp/raft, 3 processes, in memory, as shipped", slow: 2, make: newRaft(false)},
	}
}

// missing returns what is not installed of the programs that are needed.
func missing(needs []program) (not []program) {
	for _, p := range needs {
		if _, err := exec.LookPath(p.command); err != nil {
			not = append(not, p)
		}
	}
	return not
}
