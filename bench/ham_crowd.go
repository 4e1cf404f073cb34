package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// crowd is many processes that do nothing: copies of a shell, which share all but a few of its pages, and wait for a FIFO to be opened.
type crowd struct {
	fifo string
	exit <-chan unix.WaitStatus // of the shell, when all of them have ended
	pids []int
}

const crowdText = `i=0; while [ $i -lt "$2" ]; do (read _ <"$1") >&- & echo $!; i=$((i+1)); done; exec >&-; wait`

// kibOfOne is what one of them takes of the machine's memory, at most.
const kibOfOne = 512

// gather makes so many processes.
func (w *world) gather(ctx context.Context, n int) (*crowd, error) {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return nil, err
	}
	if free := uint64(si.Freeram) * uint64(si.Unit) >> 10; free < uint64(n*kibOfOne) {
		return nil, fmt.Errorf("%d processes may need %d MiB, and %d MiB are free: try fewer, with --entities", n, n*kibOfOne>>10, free>>10)
	}
	c := &crowd{fifo: filepath.Join(w.base, "end-of-the-crowd")}
	if err := unix.Mkfifo(c.fifo, 0o600); err != nil {
		return nil, fmt.Errorf("cannot make a FIFO: %w", err)
	}
	r, wr, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) })()
	_, c.exit, err = w.start("/bin/sh", []string{"sh", "-c", crowdText, "sh", c.fifo, strconv.Itoa(n)}, []*os.File{nil, wr, w.errs})
	_ = wr.Close()
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(r)
	for err == nil && lines.Scan() {
		var pid int
		pid, err = strconv.Atoi(lines.Text())
		c.pids = append(c.pids, pid)
	}
	if err = errors.Join(err, lines.Err()); err == nil && len(c.pids) != n {
		err = fmt.Errorf("%d processes were made, expected %d", len(c.pids), n)
	}
	if err != nil {
		return nil, errors.Join(err, c.disperse(ctx))
	}
	return c, nil
}

// disperse lets them all go, and returns when they have ended.
func (c *crowd) disperse(ctx context.Context) error {
	fd, err := unix.Open(c.fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) // who waits in open(2) counts as a reader
	if err != nil {
		return fmt.Errorf("cannot end the crowd: %w", err)
	}
	_ = unix.Close(fd)
	if _, err := within(context.WithoutCancel(ctx), startWithin, c.exit); err != nil {
		return fmt.Errorf("the crowd does not end: %w", err)
	}
	return os.Remove(c.fifo)
}
