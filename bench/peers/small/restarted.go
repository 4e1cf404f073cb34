package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/line"
)

// supervise starts the server, and again at once whenever it has ended.
func supervise(args []string) error {
	runtime.LockOSThread() // whose end would end the server
	for {
		cmd := exec.Command("/proc/self/exe", append([]string{"restarted"}, args...)...)
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("cannot start the server: %w", err)
		}
		_ = cmd.Wait() // however it ended
	}
}

// journal is a counter in a file: each addition is a record of eight bytes, on the disk before it is acknowledged.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	count int64
}

const recordSize = 8

// restarted is the server: it reads the whole file, as a service that keeps its state in a journal does, and serves.
func restarted(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("cannot serve %q: expected FILE ADDRESS", args)
	}
	j, err := reload(args[0])
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	return line.Serve(l, j, nil)
}

// reload reads the journal. A record that was not written whole was not acknowledged.
func reload(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f}
	for ; len(b) >= recordSize; b = b[recordSize:] {
		j.count += int64(binary.LittleEndian.Uint64(b))
	}
	return j, f.Truncate(j.count * recordSize)
}

// Add writes one record and waits for the disk.
func (j *journal) Add() (int64, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var record [recordSize]byte
	binary.LittleEndian.PutUint64(record[:], 1)
	if _, err := j.file.WriteAt(record[:], j.count*recordSize); err != nil {
		return 0, false
	}
	if err := unix.Fdatasync(int(j.file.Fd())); err != nil {
		return 0, false
	}
	j.count++
	return j.count, true
}

// Role is always the same: there is nobody else.
func (j *journal) Role() string { return line.Serving }
