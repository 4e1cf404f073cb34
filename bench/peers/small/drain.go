package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
)

// drain is the second holder of a log: it reads what is there every millisecond, and nobody wakes it.
func drain([]string) error {
	const log, ready = 3, 4 // descriptors it is started with
	seg, err := checkpoint.Open(log)
	if err != nil {
		return err
	}
	reader := seg.Reader()
	if _, err := unix.Write(ready, []byte{1}); err != nil {
		return fmt.Errorf("cannot say that it is ready: %w", err)
	}
	for {
		for _, err = reader.Next(); err == nil; _, err = reader.Next() {
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		reader.Release()
		time.Sleep(time.Millisecond)
	}
}
