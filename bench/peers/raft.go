package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// raftCluster is three processes with hashicorp/raft. Their stores are in memory, so one that was killed comes back as a
// new member, and the leader replaces the dead one by it.
type raftCluster struct {
	w     *world
	tuned bool
	nodes []*raftNode
	made  int
	lines
}

// raftNode is one process.
type raftNode struct {
	*process
	id, raft, line string // its name, and the addresses at which it talks to the others and to clients
}

var _ contestant = (*raftCluster)(nil)

func newRaft(tuned bool) func(*world) contestant {
	return func(w *world) contestant { return &raftCluster{w: w, tuned: tuned} }
}

func (r *raftCluster) Start(context.Context) error {
	addrs, err := r.w.ports.addrs(6)
	if err != nil {
		return err
	}
	members := make([]string, 3)
	for i := range members {
		n := &raftNode{raft: addrs[i], line: addrs[3+i]}
		r.name(n)
		r.nodes = append(r.nodes, n)
		members[i] = n.id + "=" + n.raft
	}
	r.lines = newLines(addrs[3:]...)
	for _, n := range r.nodes {
		if err := r.launch(n, strings.Join(members, ",")); err != nil {
			return err
		}
	}
	return nil
}

func (r *raftCluster) name(n *raftNode) {
	r.made++
	n.id = "n" + strconv.Itoa(r.made)
}

// launch starts a process. Without members it waits to be made one.
func (r *raftCluster) launch(n *raftNode, members string) (err error) {
	n.process, err = r.w.self("raft", "raft", n.id, n.raft, n.line, strconv.FormatBool(r.tuned), members)
	return err
}

func (r *raftCluster) Serving(ctx context.Context) (pid int, err error) {
	for _, n := range r.nodes {
		if n.ended() {
			if err := r.replace(ctx, n); err != nil {
				return 0, err
			}
		}
	}
	if err := until(ctx, "raft", r.levelled); err != nil {
		return 0, err
	}
	return r.serving(ctx, "raft")
}

// replace starts a process again and has the leader take it for the one that died.
func (r *raftCluster) replace(ctx context.Context, n *raftNode) error {
	dead := n.id
	r.name(n)
	if err := r.launch(n, ""); err != nil {
		return err
	}
	return until(ctx, "raft: replace "+dead, func(ctx context.Context) error {
		if _, _, err := line.Role(ctx, n.line); err != nil {
			return err
		}
		_, leader, err := r.who(ctx, line.Serving)
		if err != nil {
			return err
		}
		answer, err := line.Ask(ctx, leader, strings.Join([]string{raftReplace, dead, n.id, n.raft}, " "))
		if err == nil && answer != raftDone {
			err = errors.New(answer)
		}
		return err
	})
}

// levelled says whether all three have applied the same.
func (r *raftCluster) levelled(ctx context.Context) error {
	var first string
	for _, n := range r.nodes {
		applied, err := line.Ask(ctx, n.line, raftApplied)
		if err != nil {
			return err
		}
		if first == "" {
			first = applied
		}
		if applied != first {
			return fmt.Errorf("one node has applied %s, another %s", first, applied)
		}
	}
	return nil
}
