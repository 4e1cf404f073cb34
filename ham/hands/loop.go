package hands

import (
	"fmt"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// loop waits for any number of descriptors in one goroutine, and calls a function for each that is ready.
type loop struct {
	poller *sock.Poller
	ended  chan struct{}

	mu     sync.Mutex
	calls  map[uint64]func(sock.Flags)
	last   uint64
	closed bool
}

func newLoop() (*loop, error) {
	poller, err := sock.NewPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{poller: poller, ended: make(chan struct{}), calls: map[uint64]func(sock.Flags){}}
	go l.run()
	return l, nil
}

// add calls f, on the loop's goroutine, whenever fd is ready for one of the wanted flags or has been hung up. The descriptor
// stays the caller's, who calls del before closing it. A call that is under way goes on after del: f must find out by itself
// that its descriptor is gone.
func (l *loop) add(fd int, want sock.Flags, f func(sock.Flags)) (key uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, fmt.Errorf("cannot watch descriptor %d: %w", fd, errClosed)
	}
	l.last++
	if err := l.poller.Add(fd, l.last, want); err != nil {
		return 0, err
	}
	l.calls[l.last] = f
	return l.last, nil
}

// want changes what a descriptor is waited for.
func (l *loop) want(fd int, key uint64, want sock.Flags) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls[key] != nil {
		_ = l.poller.Mod(fd, key, want)
	}
}

// del ends the calls for a descriptor. It may be called twice.
func (l *loop) del(fd int, key uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls[key] != nil {
		delete(l.calls, key)
		_ = l.poller.Del(fd)
	}
}

func (l *loop) run() {
	defer close(l.ended)
	defer l.poller.Close()
	events := make([]sock.Event, 128)
	for {
		n, err := l.poller.Wait(events, -1)
		if err != nil {
			// Not for lack of anything: the descriptor is bad, or a bug. Look again, slowly.
			time.Sleep(time.Millisecond)
		}
		for _, e := range events[:n] {
			l.mu.Lock()
			f := l.calls[e.Key]
			l.mu.Unlock()
			if f != nil {
				f(e.Flags)
			}
		}
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
	}
}

// stop ends the loop soon. It may be called from within a call.
func (l *loop) stop() {
	l.mu.Lock()
	l.closed = true
	clear(l.calls)
	l.mu.Unlock()
	l.poller.Wake()
}

// close ends the loop. No call is under way when it returns. Not to be called from within one.
func (l *loop) close() {
	l.stop()
	<-l.ended
}
