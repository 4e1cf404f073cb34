package hands

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// Follower holds copies of the descriptors that the Hands in another process hold for programs, so that they outlive it.
type Follower struct {
	path  string
	end   context.CancelFunc
	ctx   context.Context
	ended chan struct{}

	mu    sync.Mutex
	all   map[string]int
	fresh map[string]bool // what has been told on a connection that has yet to tell all; nil: it has
}

// followPause is between two attempts to reach the Hands.
const followPause = 50 * time.Millisecond

// Follow begins to follow the Hands whose Config has the same Dir, present and future ones. It ends with Close, or with a Config that is
// given the Follower.
func Follow(dir string) *Follower {
	f := &Follower{path: filepath.Join(dir, heldFile), ended: make(chan struct{}), all: map[string]int{}}
	f.ctx, f.end = context.WithCancel(context.Background())
	go f.run()
	return f
}

// Len returns how many descriptors it holds.
func (f *Follower) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all)
}

// Close closes all copies.
func (f *Follower) Close() {
	for _, fd := range f.take() {
		unix.Close(fd)
	}
}

// take ends following and returns what is held, for the caller to close.
func (f *Follower) take() map[string]int {
	if f == nil {
		return nil
	}
	f.end()
	<-f.ended
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all = map[string]int{}
	return all
}

func (f *Follower) run() {
	defer close(f.ended)
	for f.ctx.Err() == nil {
		if fd, err := sock.Dial(f.ctx, f.path); err == nil {
			f.follow(fd)
			unix.Close(fd)
		}
		select {
		case <-f.ctx.Done():
		case <-time.After(followPause):
		}
	}
}

// follow takes in all that comes, until the end. What was held before stays until the new Hands have told what they hold: they
// may die before that.
func (f *Follower) follow(fd int) {
	f.mu.Lock()
	f.fresh = map[string]bool{}
	f.mu.Unlock()
	loop, err := newLoop()
	if err != nil {
		return
	}
	defer loop.close()
	gone := make(chan struct{})
	var once sync.Once
	buf := make([]byte, 4<<10)
	_, err = loop.add(fd, sock.Readable, func(sock.Flags) {
		for {
			n, fds, err := sock.RecvFDs(fd, buf, 1)
			if err == sock.ErrAgain {
				return
			}
			if err != nil {
				once.Do(func() { close(gone) })
				return
			}
			f.change(string(buf[:n]), fds)
		}
	})
	if err != nil {
		return
	}
	select {
	case <-gone:
	case <-f.ctx.Done():
	}
}

// change takes in one message: "+KEY" with a descriptor, "-KEY", or "=", which ends the first telling.
func (f *Follower) change(message string, fds []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := message[1:]
	switch message[0] {
	case '+', '-':
		f.drop(key)
		for _, fd := range fds {
			f.all[key] = fd
		}
		if f.fresh != nil {
			f.fresh[key] = true
		}
	case '=':
		for key := range f.all {
			if !f.fresh[key] {
				f.drop(key)
			}
		}
		f.fresh = nil
	}
}

func (f *Follower) drop(key string) {
	if fd, ok := f.all[key]; ok {
		unix.Close(fd)
		delete(f.all, key)
	}
}
