package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// What it costs a primary to hand a checkpoint to its backup: appended to the log; copied into the same kind of memory
// with nothing but one atomic store; written to a unix socket. The backup, a process of its own, drains all three
// every millisecond, and nobody is woken.

const ringSize = checkpoint.DefaultSize

func checkpointCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "checkpoint", Short: "Cost of one checkpoint to the primary", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			plan := map[string]any{"rounds": checkpointRounds(o), "sizes": checkpointSizes}
			return measure(o, "checkpoint", plan, func(ctx context.Context, w *world, r *report) error {
				return benchCheckpoint(ctx, w, r, checkpointRounds(o))
			})
		}}
}

func checkpointRounds(o *options) int {
	if o.Quick {
		return 100
	}
	return 1000
}

// checkpointSizes are payloads in bytes and how many are written in one round: far from filling any buffer.
var checkpointSizes = []struct{ Bytes, Batch, Writes int }{{64, 1024, 128}, {1024, 512, 64}, {16384, 64, 8}}

// way is one way to hand over a checkpoint.
type way struct {
	name string
	room func() error // waits until a round fits
	do   func(payload []byte, n int) error
	n    func(batch, writes int) int
}

func benchCheckpoint(ctx context.Context, w *world, r *report, rounds int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := w.startDrain(ctx)
	if err != nil {
		return err
	}
	defer b.close()
	ways := []way{{"plain copy and atomic store", b.plain.room, b.plain.copy, b.many}, {"append to the log", b.room, b.append, b.many},
		{"unix socket write", b.socketRoom, b.write, b.few}, {"append, encoded in place (Reserve, Commit)", b.room, b.inPlace, b.many}}
	for _, size := range checkpointSizes {
		payload := make([]byte, size.Bytes)
		took := make([]values, len(ways))
		for round := range rounds {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			for i := range ways {
				k := (i + round) % len(ways)
				n := ways[k].n(size.Batch, size.Writes)
				if err := ways[k].room(); err != nil {
					return err
				}
				began := time.Now()
				err := ways[k].do(payload, n)
				d := time.Since(began)
				if err != nil {
					return fmt.Errorf("%s: %w", ways[k].name, err)
				}
				took[k] = append(took[k], float64(d)/float64(n))
			}
		}
		reportCheckpoint(r, size.Bytes, ways, took)
	}
	r.note("each figure is the mean of one round of writes; ratios are medians over the rounds")
	return nil
}

func reportCheckpoint(r *report, bytes int, ways []way, took []values) {
	for i, v := range took {
		r.row(v.row(fmt.Sprintf("%s, %d B", ways[i].name, bytes), "ns"))
	}
	toCopy, toWrite := ratios(took[1], took[0]).median(), ratios(took[2], took[1]).median()
	inPlace := ratios(took[3], took[0]).median()
	over, under := fmt.Sprintf("%d B: append / plain copy", bytes), fmt.Sprintf("%d B: socket write / append", bytes)
	if bytes == 64 {
		r.atMost(over, toCopy, 3, "")
		r.atLeast(under, toWrite, 10)
	} else {
		r.info(over, toCopy)
		r.info(under, toWrite)
	}
	r.info(fmt.Sprintf("%d B: append, encoded in place / plain copy", bytes), inPlace)
}

// plainRing is the least that could hand bytes to another process.
type plainRing struct {
	ring       []byte
	word, tail *atomic.Uint64 // what has been written, and what the reader has released
	head       uint64
}

// plainPage is where the two words of a plain ring lie, in lines of their own, before the ring.
const plainPage = 4096

func mapPlain(fd int) (*plainRing, error) {
	at, b, err := mapShared(fd, plainPage+ringSize)
	if err != nil {
		return nil, err
	}
	return &plainRing{ring: b[plainPage:], word: (*atomic.Uint64)(at), tail: (*atomic.Uint64)(unsafe.Add(at, 128))}, nil
}

func (p *plainRing) copy(payload []byte, n int) error {
	size := uint64(len(payload))
	for range n {
		copy(p.ring[p.head&(ringSize-1):], payload) // sizes are powers of two: no payload wraps
		p.head += size
		p.word.Store(p.head)
	}
	return nil
}

func (p *plainRing) room() error {
	if p.head%16384 != 0 {
		p.head += 16384 - p.head%16384
		p.word.Store(p.head)
	}
	for p.head-p.tail.Load() > ringSize/4 {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// drainer is the primary's view of the process that drains.
type drainer struct {
	seg   *checkpoint.Segment
	log   *checkpoint.Writer
	plain *plainRing
	sock  int
}

func (w *world) startDrain(ctx context.Context) (*drainer, error) {
	seg, err := checkpoint.Create(checkpoint.Config{Size: ringSize, Epoch: 1})
	if err != nil {
		return nil, err
	}
	_ = seg.Populate()
	memfd, err := unix.MemfdCreate("plain", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	plainFile := os.NewFile(uintptr(memfd), "plain")
	defer plainFile.Close()
	if err := plainFile.Truncate(plainPage + ringSize); err != nil {
		return nil, err
	}
	plain, err := mapPlain(memfd)
	if err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	log, err := unix.Dup(seg.FD())
	if err != nil {
		return nil, err
	}
	logFile := os.NewFile(uintptr(log), "log")
	defer logFile.Close()
	p, err := w.spawnAndHear(ctx, []*os.File{logFile, plainFile, theirs}, "drain")
	if err != nil {
		return nil, err
	}
	return &drainer{seg: seg, log: seg.Writer(nil), plain: plain, sock: fds[0]}, p.Close()
}

func (b *drainer) close() {
	_ = unix.Close(b.sock) // the process that drains ends with it
	_ = b.seg.Close()
}

func (b *drainer) many(batch, _ int) int { return batch }
func (b *drainer) few(_, writes int) int { return writes }

// append hands over n checkpoints, each a record of its own that is safe when Append returns.
func (b *drainer) append(payload []byte, n int) error {
	for range n {
		if err := b.log.Append(1, payload); err != nil {
			return err
		}
	}
	return nil
}

// inPlace is append for a caller that encodes into the log: a batch of one.
func (b *drainer) inPlace(payload []byte, n int) error {
	for range n {
		room, err := b.log.Reserve(1, len(payload))
		if err != nil {
			return err
		}
		copy(room, payload)
		if err := b.log.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (b *drainer) room() error {
	for b.log.Free() < ringSize*3/4 {
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (b *drainer) write(payload []byte, n int) error {
	for range n {
		if err := sock.Send(b.sock, payload); err != nil {
			return err
		}
	}
	return nil
}

func (b *drainer) socketRoom() error {
	for {
		queued, err := unix.IoctlGetInt(b.sock, unix.SIOCOUTQ)
		if err != nil || queued == 0 {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// drainProcess is the backup: it drains everything every millisecond, until the socket ends.
func drainProcess() *cobra.Command {
	return &cobra.Command{Use: "drain", RunE: func(*cobra.Command, []string) error {
		seg, err := checkpoint.Open(3)
		if err != nil {
			return err
		}
		plain, err := mapPlain(4)
		if err != nil {
			return err
		}
		if err := ready(6); err != nil {
			return err
		}
		log, buf := seg.Reader(), make([]byte, 64<<10)
		for {
			for _, err = log.Next(); err == nil; _, err = log.Next() {
			}
			log.Release()
			for head := plain.word.Load(); plain.head < head; {
				at := plain.head & (ringSize - 1)
				plain.head += uint64(copy(buf, plain.ring[at:min(at+head-plain.head, ringSize)]))
			}
			plain.tail.Store(plain.head)
			for _, err = sock.Recv(5, buf); err == nil; _, err = sock.Recv(5, buf) {
			}
			if !errors.Is(err, sock.ErrAgain) {
				return nil // the end of the run
			}
			time.Sleep(time.Millisecond)
		}
	}}
}
