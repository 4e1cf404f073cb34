package subject

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// The bare pair: two processes that do nothing but what a takeover cannot do without. The primary answers packets. The
// backup holds the same connection; it notices the primary's death, fences it, and answers. A request
// stays in the socket until it has been answered (it is read with MSG_PEEK), so the outstanding one is there for the backup
// to find, and nobody need send it again. There is no state, no log, no name, no next backup.

// How the backup of a bare pair notices.
const (
	ByFutex     = "futex"       // a robust futex in shared memory, as Tandem's first notice
	ByEndOfFile = "end-of-file" // of a socket that the primary holds the other end of, as most programs do
)

// A packet of the bare pair: the number of the request, and in the answer who answers.
const bareWho = 8 // where that stands

// Bare is the client's side.
type Bare struct {
	Primary, backup *proc.Process
	sock            int
	next            uint64
}

// Descriptors of the two processes.
const (
	bareCell = 3 + iota
	bareSock
	bareLife // the primary's end, or the backup's, of the socket that ends with the primary
	bareReady
)

// StartBare starts a bare pair, with a primary of that size.
func StartBare(ctx context.Context, w *world.World, notice string, touchMiB int) (b *Bare, err error) {
	b = &Bare{sock: -1}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	memfd, err := unix.MemfdCreate("cell", unix.MFD_CLOEXEC)
	if err != nil {
		return b, err
	}
	cell := os.NewFile(uintptr(memfd), "cell")
	defer cell.Close()
	if err := cell.Truncate(4096); err != nil {
		return b, err
	}
	ends, err := socketpairs(2)
	if err != nil {
		return b, err
	}
	for _, f := range ends {
		defer f.Close()
	}
	if b.sock, err = unix.Dup(int(ends[0].Fd())); err != nil {
		return b, err
	}
	size := strconv.Itoa(touchMiB)
	if b.Primary, err = w.SpawnAndHear(ctx, []*os.File{cell, ends[1], ends[2]}, "bare", "primary", size); err != nil {
		return b, err
	}
	id := b.Primary.ID()
	b.backup, err = w.SpawnAndHear(ctx, []*os.File{cell, ends[1], ends[3]}, "bare", notice, "0", strconv.Itoa(id.PID), strconv.FormatUint(id.Start, 10))
	return b, err
}

// socketpairs returns the ends of n pairs of sockets, two by two. They are blocking.
func socketpairs(n int) (ends []*os.File, err error) {
	for range n {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return ends, err
		}
		ends = append(ends, os.NewFile(uintptr(fds[0]), "end"), os.NewFile(uintptr(fds[1]), "end"))
	}
	return ends, nil
}

// Close ends both processes.
func (b *Bare) Close() {
	for _, p := range []*proc.Process{b.Primary, b.backup} {
		if p != nil {
			_ = p.Signal(unix.SIGKILL)
			_ = p.Close()
		}
	}
	if b.sock >= 0 {
		_ = unix.Close(b.sock)
	}
}

// Call makes one request and returns the process that answered.
func (b *Bare) Call() (who uint64, err error) {
	var buf [PayloadSize]byte
	b.next++
	binary.LittleEndian.PutUint64(buf[:], b.next)
	if err := send(b.sock, buf[:]); err != nil {
		return 0, err
	}
	for {
		n, err := recv(b.sock, buf[:], 0)
		if err != nil || n < bareWho+8 {
			return 0, errors.Join(io.ErrUnexpectedEOF, err)
		}
		// The backup answers once more what the primary answered last, if that died before it took the request away.
		if binary.LittleEndian.Uint64(buf[:]) == b.next {
			return binary.LittleEndian.Uint64(buf[bareWho:]), nil
		}
	}
}

// BareProcess runs one of the two.
func BareProcess() *cobra.Command {
	return &cobra.Command{Use: "bare", RunE: func(_ *cobra.Command, args []string) error {
		mib, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		if err := errors.Join(proc.NoCore(), touch(mib)); err != nil {
			return err
		}
		at, _, err := MapShared(bareCell, 4096)
		if err != nil {
			return err
		}
		cell := (*proc.Cell)(at)
		if args[0] != "primary" {
			if err := bareBackup(cell, args); err != nil {
				return err
			}
			return bareServe()
		}
		if _, err := proc.Light(cell); err != nil {
			return err
		}
		if err := world.Ready(bareReady); err != nil {
			return err
		}
		return bareServe()
	}}
}

// bareBackup returns when the primary is dead.
func bareBackup(cell *proc.Cell, args []string) error {
	pid, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	start, err := strconv.ParseUint(args[3], 10, 64)
	if err != nil {
		return err
	}
	primary, err := proc.Open(proc.ID{PID: pid, Start: start})
	if err != nil {
		return err
	}
	if err := world.Ready(bareReady); err != nil {
		return err
	}
	switch args[0] {
	case ByFutex:
		for !cell.Wait(0) {
		}
	case ByEndOfFile:
		if err := unix.SetNonblock(bareLife, true); err != nil {
			return err
		}
		life := os.NewFile(bareLife, "life") // for Go's poller, as in an ordinary program
		if _, err := life.Read(make([]byte, 1)); err != io.EOF {
			return fmt.Errorf("expected the end of the primary's socket: %w", err)
		}
	default:
		return fmt.Errorf("cannot notice by %s", args[0])
	}
	return primary.Fence(10 * time.Second)
}

// bareServe answers until the client goes away.
func bareServe() error {
	buf, answer := make([]byte, PayloadSize), make([]byte, PayloadSize)
	pid := uint64(os.Getpid())
	for {
		n, err := recv(bareSock, buf, unix.MSG_PEEK)
		if err != nil || n == 0 {
			return err
		}
		copy(answer, buf)
		binary.LittleEndian.PutUint64(answer[bareWho:], pid)
		if err := send(bareSock, answer); err != nil {
			return err
		}
		if _, err := recv(bareSock, buf, 0); err != nil {
			return err
		}
	}
}

// recv and send block in the system call: the shortest way.
func recv(fd int, buf []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, buf, flags)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func send(fd int, b []byte) error { return sock.Send(fd, b) }

// Hangup ends the client's connection: a call that waits ends with an error.
func (b *Bare) Hangup() { _ = unix.Shutdown(b.sock, unix.SHUT_RDWR) }
