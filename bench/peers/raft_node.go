package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// What a node is asked besides the line protocol.
const (
	raftApplied = "applied" // index of the last log entry that it has applied
	raftReplace = "replace" // DEAD NEW ADDRESS: one member for another
	raftDone    = "done"
)

// raftNodeServer is one node: its part of raft, and the counter that raft keeps the same on all.
type raftNodeServer struct {
	raft    *raft.Raft
	machine raftCounter
}

// raftProcess is the process of one node: ID RAFT-ADDRESS LINE-ADDRESS TUNED MEMBERS.
func raftProcess(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("cannot run a raft node with %q", args)
	}
	s := &raftNodeServer{}
	if err := s.join(args[0], args[1], args[3] == "true", args[4]); err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[2])
	if err != nil {
		return err
	}
	return line.Serve(l, s, s.other)
}

func (s *raftNodeServer) join(id, addr string, tuned bool, members string) error {
	transport, err := raft.NewTCPTransport(addr, nil, 3, time.Second, io.Discard)
	if err != nil {
		return err
	}
	store, snapshots, cfg := raft.NewInmemStore(), raft.NewInmemSnapshotStore(), raftConfig(id, tuned)
	if members != "" {
		var all raft.Configuration
		for member := range strings.SplitSeq(members, ",") {
			name, at, _ := strings.Cut(member, "=")
			all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(at)})
		}
		if err := raft.BootstrapCluster(cfg, store, store, snapshots, transport, all); err != nil {
			return err
		}
	}
	s.raft, err = raft.NewRaft(cfg, &s.machine, store, store, snapshots, transport)
	return err
}

// raftConfig is raft's own, or the one with the shortest times that keeps its leader on a machine full of other work.
func raftConfig(id string, tuned bool) *raft.Config {
	cfg := raft.DefaultConfig()
	cfg.LocalID, cfg.LogOutput = raft.ServerID(id), io.Discard
	if tuned {
		cfg.HeartbeatTimeout, cfg.ElectionTimeout = 50*time.Millisecond, 50*time.Millisecond
		cfg.LeaderLeaseTimeout, cfg.CommitTimeout = 25*time.Millisecond, 5*time.Millisecond
	}
	return cfg
}

// Add returns when a majority has the addition in its log.
func (s *raftNodeServer) Add() (int64, bool) {
	if s.raft.State() != raft.Leader {
		return 0, false
	}
	f := s.raft.Apply(nil, time.Second)
	if f.Error() != nil {
		return 0, false
	}
	n, ok := f.Response().(int64)
	return n, ok
}

// Role is Serving for the leader, from when it can add.
func (s *raftNodeServer) Role() string {
	if s.raft.State() == raft.Leader && s.raft.VerifyLeader().Error() == nil {
		return line.Serving
	}
	return line.Waiting
}

func (s *raftNodeServer) other(words []string) string {
	switch {
	case words[0] == raftApplied:
		return strconv.FormatUint(s.raft.AppliedIndex(), 10)
	case words[0] == raftReplace && len(words) == 4:
		dead, id, addr := raft.ServerID(words[1]), raft.ServerID(words[2]), raft.ServerAddress(words[3])
		if err := s.raft.RemoveServer(dead, 0, time.Second).Error(); err != nil {
			return err.Error()
		}
		if err := s.raft.AddVoter(id, addr, 0, time.Second).Error(); err != nil {
			return err.Error()
		}
		return raftDone
	}
	return line.No
}

// raftCounter is the state machine: every entry of the log adds 1.
type raftCounter struct{ n atomic.Int64 }

var _ raft.FSM = (*raftCounter)(nil)

// Apply adds 1.
func (c *raftCounter) Apply(*raft.Log) any { return c.n.Add(1) }

// Snapshot returns the count.
func (c *raftCounter) Snapshot() (raft.FSMSnapshot, error) { return raftSnapshot(c.n.Load()), nil }

// Restore takes the count of another.
func (c *raftCounter) Restore(from io.ReadCloser) error {
	defer from.Close()
	var n int64
	if err := binary.Read(from, binary.LittleEndian, &n); err != nil {
		return fmt.Errorf("cannot restore the count: %w", err)
	}
	c.n.Store(n)
	return nil
}

// raftSnapshot is a count.
type raftSnapshot int64

// Persist writes it.
func (s raftSnapshot) Persist(to raft.SnapshotSink) error {
	if err := binary.Write(to, binary.LittleEndian, int64(s)); err != nil {
		_ = to.Cancel()
		return err
	}
	return to.Close()
}

// Release has nothing to do.
func (s raftSnapshot) Release() {}
