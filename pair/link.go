package pair

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// link is everything that one member holds of the other: the control socket, the process, and the log between them. A
// link lasts as long as both keep their roles.
type link struct {
	sock    int // control socket; descriptors travel on it
	peer    *proc.Process
	peerID  proc.ID
	since   time.Time // the peer joined
	seg     *checkpoint.Segment
	page    *page
	writer  checkpoint.Appender // as primary
	reader  checkpoint.Reader   // as backup
	beacon  *proc.Beacon        // ours, in this link's page
	spawned bool                // the backup is a child of the primary
	other   program             // that the peer runs

	threads []int // pidfds of two of its threads: they end before its memory is torn down
	watch   *watch

	beat     uint64        // the peer's progress, as last seen
	beatAt   time.Duration // when it last moved
	lookedAt time.Duration // when we last looked
	pitied   bool          // it stood still, and nobody could take over
}

// newLink lights our beacon in a segment that we have mapped.
func newLink(seg *checkpoint.Segment, primary bool) (*link, error) {
	l := &link{sock: -1, seg: seg, page: pageAt(seg.OwnerPage())}
	if !primary {
		return l, nil
	}
	b, err := proc.Light(&l.page.primary)
	if err != nil {
		return nil, fmt.Errorf("cannot light the beacon: %w", err)
	}
	l.beacon = b
	return l, nil
}

// close lets go of everything. The peer's process is not touched.
func (l *link) close() {
	if l.watch != nil {
		l.watch.close()
	}
	if l.beacon != nil {
		l.beacon.Extinguish()
	}
	for _, fd := range l.threads {
		_ = unix.Close(fd)
	}
	if l.sock >= 0 {
		_ = unix.Close(l.sock)
	}
	if l.peer != nil {
		_ = l.peer.Close()
	}
	if l.seg != nil {
		_ = l.seg.Close()
	}
	*l = link{sock: -1}
}

// openThreads takes pidfds on threads of the peer, as far as the kernel has them. They tell of the death before the
// kernel frees the dead process's memory, but not always: a second notice, not the only one (perf.md §1.3).
func (l *link) openThreads(tids []int) {
	for _, tid := range tids {
		if fd, err := proc.OpenThread(l.peer.ID().PID, tid); err == nil {
			l.threads = append(l.threads, fd)
		}
	}
}

// notices names the ways in which a backup learns of the primary's death here, best first.
func (l *link) notices() []string {
	n := []string{"robust futex"}
	if len(l.threads) > 0 {
		n = append(n, "thread pidfd")
	}
	return append(n, "process pidfd", "socket end-of-file")
}

// maxPart is how many bytes of one opener go into one record.
func (l *link) maxPart() int { return l.writer.MaxPayload() / 2 }

// send puts one frame on the control socket, with descriptors if any. A socket whose peer does not read is an error.
func (l *link) send(epoch uint32, f *wire.Frame, fds ...int) error {
	pkt, err := wire.Pack(nil, epoch, f)
	if err != nil {
		return err
	}
	if len(fds) == 0 {
		return sock.Send(l.sock, pkt)
	}
	return sock.SendFDs(l.sock, pkt, fds...)
}

// stalled looks at the peer's progress counter and says for how long it has stood still. A watcher that was late itself
// cannot tell: the time it was away is not held against the peer (design §7).
func (l *link) stalled(beat uint64, now, expected time.Duration) time.Duration {
	if beat != l.beat || l.lookedAt == 0 {
		l.beat, l.beatAt, l.lookedAt = beat, now, now
		return 0
	}
	if late := now - l.lookedAt - expected; late > 0 {
		l.beatAt += late
	}
	l.lookedAt = now
	return now - l.beatAt
}

// watch waits, beside the robust futex, for the other signs of the primary's death, and rings the backup's bell.
type watch struct {
	poll   *sock.Poller
	done   chan struct{}
	closed atomic.Bool
	dead   atomic.Bool
	sign   atomic.Uint32 // which key spoke
}

// The keys of a watch.
const (
	signThread = iota + 1
	signProcess
	signSocket
)

// watchPeer starts the second notice on l.
func (l *link) watchPeer(bell func()) error {
	p, err := sock.NewPoller()
	if err != nil {
		return err
	}
	w := &watch{poll: p, done: make(chan struct{})}
	for _, fd := range l.threads {
		err = errors.Join(err, p.Add(fd, signThread, sock.Readable))
	}
	err = errors.Join(err, p.Add(l.peer.FD(), signProcess, sock.Readable))
	err = errors.Join(err, p.Add(l.sock, signSocket, sock.Hangup))
	if err != nil {
		_ = p.Close()
		return fmt.Errorf("cannot watch the other member: %w", err)
	}
	l.watch = w
	go w.run(bell)
	return nil
}

func (w *watch) run(bell func()) {
	defer close(w.done)
	events := make([]sock.Event, 4)
	for !w.closed.Load() {
		n, err := w.poll.Wait(events, -1)
		if err != nil {
			return
		}
		if n > 0 && !w.closed.Load() {
			w.sign.Store(uint32(events[0].Key))
			w.dead.Store(true)
			bell()
			return
		}
	}
}

func (w *watch) close() {
	w.closed.Store(true)
	w.poll.Wake()
	<-w.done
	_ = w.poll.Close()
}

// evidence says what told of the death.
func (w *watch) evidence() string {
	switch w.sign.Load() {
	case signThread:
		return "thread pidfd"
	case signProcess:
		return "process pidfd"
	case signSocket:
		return "socket end-of-file"
	}
	return ""
}
