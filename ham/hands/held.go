package hands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// held is the descriptors that must outlive this process: listening sockets, notification sockets, stored descriptors. Each has
// a key, and whoever follows this process, the other half of HAM, holds a copy of each.
type held struct {
	ears *loop
	path string
	lfd  int
	key  uint64

	mu        sync.Mutex
	all       map[string]int // open, and ours to close, from put until drop
	followers map[*followed]struct{}
	closed    bool
	running   sync.WaitGroup
}

// heldFile is the socket at which followers are served.
const heldFile = "held"

// Keys are lists of words. The first one is an entity's name, so that all it has can be let go.
func heldKey(entity string, words ...string) string {
	return strings.Join(append([]string{entity}, words...), "\x00")
}

func heldWords(key string) []string { return strings.Split(key, "\x00") }

func newHeld(ears *loop, dir string, inherited map[string]int) (*held, error) {
	h := &held{ears: ears, path: filepath.Join(dir, heldFile), lfd: -1, all: inherited, followers: map[*followed]struct{}{}}
	if h.all == nil {
		h.all = map[string]int{}
	}
	var err error
	if h.lfd, err = sock.Listen(h.path); err == nil {
		h.key, err = ears.add(h.lfd, sock.Readable, h.accept)
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// put takes over a descriptor under a key, in place of the one that was there.
func (h *held) put(key string, fd int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		unix.Close(fd)
		return
	}
	if old, ok := h.all[key]; ok {
		unix.Close(old)
	}
	h.all[key] = fd
	h.tell(key)
}

// get returns the descriptor under a key. It stays open until it is dropped, by the lane of its entity.
func (h *held) get(key string) (fd int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fd, ok = h.all[key]
	return fd, ok
}

// keys returns those that begin with these words, in no order.
func (h *held) keys(entity string, words ...string) (keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	prefix := heldKey(entity, words...) + "\x00"
	for key := range h.all {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// drop closes what is under a key.
func (h *held) drop(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if fd, ok := h.all[key]; ok {
		unix.Close(fd)
		delete(h.all, key)
		h.tell(key)
	}
}

func (h *held) close() {
	h.mu.Lock()
	h.closed = true
	for f := range h.followers {
		f.stop()
	}
	if h.lfd >= 0 {
		h.ears.del(h.lfd, h.key)
		unix.Close(h.lfd)
		h.lfd = -1
	}
	h.mu.Unlock()
	h.running.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, fd := range h.all {
		unix.Close(fd)
	}
	clear(h.all)
}

// followed is one process that holds copies.
type followed struct {
	h       *held
	fd      int
	ready   chan struct{} // something is to be sent
	stopped chan struct{}
	once    sync.Once
	pending []string // keys that have changed since they were sent; guarded by held.mu
}

func (f *followed) stop() { f.once.Do(func() { close(f.stopped) }) }

// accept serves one more follower.
func (h *held) accept(sock.Flags) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lfd < 0 {
		return
	}
	fd, err := sock.Accept(h.lfd)
	if err != nil {
		return
	}
	if uid, _, _, err := sock.PeerCred(fd); err != nil || int(uid) != os.Geteuid() {
		unix.Close(fd)
		return
	}
	f := &followed{h: h, fd: fd, ready: make(chan struct{}, 1), stopped: make(chan struct{})}
	h.followers[f] = struct{}{}
	for key := range h.all {
		f.pending = append(f.pending, key)
	}
	f.pending = append(f.pending, "") // stands for: that was all
	f.ready <- struct{}{}
	h.running.Go(f.run)
}

// tell has followers told of a key. h is locked.
func (h *held) tell(key string) {
	for f := range h.followers {
		f.pending = append(f.pending, key)
		select {
		case f.ready <- struct{}{}:
		default:
		}
	}
}

// run sends what has changed until the follower is gone.
func (f *followed) run() {
	defer func() {
		f.h.mu.Lock()
		defer f.h.mu.Unlock()
		delete(f.h.followers, f)
		unix.Close(f.fd)
	}()
	for {
		select {
		case <-f.ready:
		case <-f.stopped:
			return
		}
		for more := true; more; {
			var err error
			if more, err = f.send(); err != nil {
				return
			}
		}
	}
}

// send sends the first key that has changed, and what is under it now. More is false when there is none.
func (f *followed) send() (more bool, err error) {
	for {
		f.h.mu.Lock()
		if len(f.pending) == 0 {
			f.h.mu.Unlock()
			return false, nil
		}
		key := f.pending[0]
		fd, ok := f.h.all[key]
		switch {
		case key == "":
			err = sock.Send(f.fd, []byte("="))
		case ok:
			err = sock.SendFDs(f.fd, []byte("+"+key), fd)
		default:
			err = sock.Send(f.fd, []byte("-"+key))
		}
		if err == nil {
			f.pending = f.pending[1:]
		}
		f.h.mu.Unlock()
		if err == nil {
			return true, nil
		}
		if err != sock.ErrAgain && !errors.Is(err, sock.ErrNoDescriptors) {
			return false, err
		}
		if err := f.pause(); err != nil {
			return false, err
		}
	}
}

// pause waits until the follower has read something, or a while.
func (f *followed) pause() error {
	fds := []unix.PollFd{{Fd: int32(f.fd), Events: unix.POLLOUT}}
	if _, err := unix.Poll(fds, 50); err != nil && err != unix.EINTR {
		return fmt.Errorf("cannot wait: %w", err)
	}
	select {
	case <-f.stopped:
		return errClosed
	default:
		return nil
	}
}
