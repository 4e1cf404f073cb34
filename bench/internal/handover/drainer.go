package handover

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

const ringSize = checkpoint.DefaultSize

// drainer is the primary's view of the process that drains.
type drainer struct {
	seg   *checkpoint.Segment
	log   *checkpoint.Writer
	plain *plainRing
	unix  int
	tcp   *net.TCPConn
	sent  uint64 // bytes on tcp
}

func startDrain(ctx context.Context, w *world.World) (b *drainer, err error) {
	b = &drainer{unix: -1}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.seg, err = checkpoint.Create(checkpoint.Config{Size: ringSize, Epoch: 1}); err != nil {
		return b, err
	}
	_ = b.seg.Populate()
	b.log = b.seg.Writer(nil)
	files := []*os.File{}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for _, open := range []func() (*os.File, error){b.theirLog, b.theirPlain, b.theirUnix, b.theirTCP} {
		f, err := open()
		if err != nil {
			return b, err
		}
		files = append(files, f)
	}
	p, err := w.SpawnAndHear(ctx, files, "drain")
	if err != nil {
		return b, err
	}
	return b, p.Close()
}

func (b *drainer) theirLog() (*os.File, error) {
	fd, err := unix.Dup(b.seg.FD())
	return os.NewFile(uintptr(fd), "log"), err
}

func (b *drainer) theirPlain() (*os.File, error) {
	fd, err := unix.MemfdCreate("plain", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "plain")
	if err = f.Truncate(plainPage + ringSize); err == nil {
		b.plain, err = mapPlain(fd)
	}
	return f, err
}

func (b *drainer) theirUnix() (*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	b.unix = fds[0]
	return os.NewFile(uintptr(fds[1]), "unix"), nil
}

func (b *drainer) theirTCP() (*os.File, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if b.tcp, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)); err != nil {
		return nil, err
	}
	theirs, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	return theirs.File()
}

func (b *drainer) close() {
	if b.unix >= 0 {
		_ = unix.Close(b.unix) // the process that drains ends with it
	}
	if b.tcp != nil {
		_ = b.tcp.Close()
	}
	if b.seg != nil {
		_ = b.seg.Close()
	}
}

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
func (b *drainer) inPlace(payload []byte, n int) error { return b.reserve(payload, n, 1) }

// batched is for requests that are ready together: their records become safe with one commit.
func (b *drainer) batched(payload []byte, n int) error { return b.reserve(payload, n, 16) }

func (b *drainer) reserve(payload []byte, n, batch int) error {
	for i := range n {
		room, err := b.log.Reserve(1, len(payload))
		if err != nil {
			return err
		}
		copy(room, payload)
		if (i+1)%batch != 0 && i+1 < n {
			continue
		}
		if err := b.log.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// drainWithin is how long the other process may take to drain a round.
const drainWithin = 10 * time.Second

// await looks again and again for room.
func await(room func() (bool, error)) error {
	for until := time.Now().Add(drainWithin); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if ok, err := room(); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("what was written is not drained within %v", drainWithin)
}

func (b *drainer) room() error {
	return await(func() (bool, error) { return b.log.Free() >= ringSize*3/4, nil })
}

func (b *drainer) writeUnix(payload []byte, n int) error {
	for range n {
		if err := sock.Send(b.unix, payload); err != nil {
			return err
		}
	}
	return nil
}

func (b *drainer) unixRoom() error {
	return await(func() (bool, error) {
		queued, err := unix.IoctlGetInt(b.unix, unix.SIOCOUTQ)
		return queued == 0, err
	})
}

func (b *drainer) writeTCP(payload []byte, n int) error {
	for range n {
		if _, err := b.tcp.Write(payload); err != nil {
			return err
		}
	}
	b.sent += uint64(n * len(payload))
	return nil
}

func (b *drainer) tcpRoom() error {
	return await(func() (bool, error) { return b.plain.tcp.Load() == b.sent, nil })
}
