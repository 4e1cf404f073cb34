package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/ours"
	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/receive"
)

// tandemTable is a pair like the one that counts. All callers share one connection.
type tandemTable struct{ *tandem }

func newTandemTable(w *world) replicator { return tandemTable{&tandem{w: w, name: "table"}} }

func (t tandemTable) Start(ctx context.Context, _ int) error {
	if err := t.tandem.Start(ctx); err != nil {
		return err
	}
	_, err := t.Serving(ctx)
	return err
}

func (t tandemTable) Update(ctx context.Context, _ int, key uint32) error {
	_, err := receive.Call[int](ctx, t.conn, ours.MethodPut, ours.Put{Key: key, Value: payload()})
	return err
}

func payload() []byte { return make([]byte, payloadSize) }

// appendLog is the checkpoint log by itself, as a primary writes it. What is in it survives the process that wrote it.
type appendLog struct {
	w       *world
	seg     *checkpoint.Segment
	log     *checkpoint.Writer
	payload []byte
}

const logBatch = 256 // appends between two looks at the clock, which costs more than one of them

func newLog(w *world) replicator { return &appendLog{w: w, payload: payload()} }

func (l *appendLog) Start(context.Context, int) (err error) {
	small, err := l.w.small()
	if err != nil {
		return err
	}
	if l.seg, err = checkpoint.Create(checkpoint.Config{Size: checkpoint.DefaultSize, Epoch: 1}); err != nil {
		return err
	}
	l.log = l.seg.Writer(nil)
	fd, err := unix.FcntlInt(uintptr(l.seg.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	memory := os.NewFile(uintptr(fd), "log")
	defer memory.Close()
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	defer theirs.Close()
	if _, err := l.w.run("drain", command{args: []string{small, "drain"}, files: []*os.File{memory, theirs}}); err != nil {
		return err
	}
	_ = ready.SetReadDeadline(time.Now().Add(patience))
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("the reader of the log does not start: %w", err)
	}
	return nil
}

func (l *appendLog) Update(context.Context, int, uint32) error {
	for range logBatch {
		err := l.log.Append(1, l.payload)
		for errors.Is(err, checkpoint.ErrFull) {
			if err = l.log.WaitFree(payloadSize, time.Second); err == nil {
				err = l.log.Append(1, l.payload)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *appendLog) Stop() {
	if l.seg != nil {
		_ = l.seg.Close()
	}
}
