package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// outlet passes on what a command prints that HAM runs, to our own standard output: a named pipe, for HAM can only open files. It
// is open at both ends as long as we are, so that the command finds a reader at each of its starts.
type outlet struct {
	path   string
	in     *os.File
	out    *os.File
	copied chan error
}

// drainWithin bounds the wait for what is left in the pipe; longer takes only who has left its output to others.
const drainWithin = time.Second

// newOutlet makes the pipe in dir, which is made too.
func newOutlet(dir string, to io.Writer) (*outlet, error) {
	o := &outlet{path: filepath.Join(dir, fmt.Sprintf("output-%d", os.Getpid())), copied: make(chan error, 1)}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		if err = os.Remove(o.path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = unix.Mkfifo(o.path, 0o600)
	}
	if err == nil {
		o.out, err = os.OpenFile(o.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	}
	if err == nil {
		o.in, err = os.OpenFile(o.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe for what it prints: %w", err)
	}
	go func() {
		_, err := io.Copy(to, o.out)
		o.copied <- err
	}()
	return o, nil
}

// close passes on what is left, and removes the pipe.
func (o *outlet) close() error {
	_ = o.in.Close()
	_ = o.out.SetReadDeadline(time.Now().Add(drainWithin))
	err := <-o.copied
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	_ = o.out.Close()
	return errors.Join(err, os.Remove(o.path))
}
