package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where it was measured.
type machine struct {
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	MemoryMiB uint64 `json:"memory_mib"`
	Arch      string `json:"arch"`
	Kernel    string `json:"kernel"`
}

func thisMachine() machine {
	m := machine{CPU: "unknown", CPUs: runtime.NumCPU(), Arch: runtime.GOARCH, Kernel: "unknown"}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		m.MemoryMiB = uint64(si.Totalram) * uint64(si.Unit) >> 20
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return m
}

// commit is that of the work tree this program was started in.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=40").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// moduleVersions returns the versions of the peers that are Go modules.
func moduleVersions() map[string]string {
	v := map[string]string{"go": runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	names := map[string]string{"github.com/hashicorp/raft": "raft", "go.etcd.io/etcd/server/v3": "etcd", "google.golang.org/grpc": "grpc",
		"github.com/nats-io/nats-server/v2": "nats-server", "github.com/nats-io/nats.go": "nats.go"}
	for _, m := range info.Deps {
		if name := names[m.Path]; name != "" {
			v[name] = m.Version
		}
	}
	return v
}

// redisVersion asks the server that is installed.
func redisVersion() string {
	out, err := exec.Command("redis-server", "--version").Output()
	if err != nil {
		return ""
	}
	_, v, _ := strings.Cut(string(out), "v=")
	v, _, _ = strings.Cut(v, " ")
	return v
}

// processorTime is how long processes have used a processor, and when that was asked.
type processorTime struct {
	used time.Duration
	at   time.Time
}

// readProcessorTime adds up all processes in the groups of those that the world has started.
func (w *world) readProcessorTime() processorTime {
	t := processorTime{at: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	groups := map[int]bool{}
	for _, p := range w.procs {
		groups[p.pid] = true
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		var state string
		var v [14]int // ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime …
		_, _ = fmt.Sscan(string(b[bytes.LastIndexByte(b, ')')+1:]), &state, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11])
		if groups[v[1]] {
			t.used += time.Duration(v[10]+v[11]) * (time.Second / ticksPerSecond)
		}
	}
	return t
}

const ticksPerSecond = 100 // USER_HZ, on every architecture that Go knows

// busySince returns how much of one processor has been used since then, in percent.
func (t processorTime) busySince(then processorTime) float64 {
	return 100 * float64(t.used-then.used) / float64(max(t.at.Sub(then.at), 1))
}

func loadAverage() (load float64) {
	b, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(b), &load)
	return load
}
