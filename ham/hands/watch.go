package hands

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// reapPatience is how long the parent of a dead process may take to reap it before the death is told without a status:
// only from then on does the kernel tell it to others.
const reapPatience = 500 * time.Millisecond

// watcher knows when processes end: one goroutine and one epoll for all of them, one pidfd for each.
type watcher struct {
	loop *loop

	mu      sync.Mutex
	all     map[*watched]struct{}
	closing bool
}

// watched is one process whose end somebody wants to know.
type watched struct {
	w     *watcher
	id    proc.ID
	child bool       // started by this process, which has to reap it
	ended func(exit) // called once, from the watcher's goroutine or a timer's

	mu    sync.Mutex
	pidfd int // -1: it has ended, or nobody wants to know any more
	key   uint64
	told  bool
	late  *time.Timer // runs from the death to the reaping
}

func newWatcher() (*watcher, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	return &watcher{loop: l, all: map[*watched]struct{}{}}, nil
}

// adopt watches a process that somebody else has started. The error is proc.ErrGone when it has ended. A start time of 0
// stands for whatever process has the pid now.
func (w *watcher) adopt(id proc.ID, ended func(exit)) (*watched, error) {
	pidfd, id, err := openPidfd(id)
	if err != nil {
		return nil, fmt.Errorf("cannot watch process %v: %w", id, err)
	}
	return w.watch(id, pidfd, false, ended)
}

// openPidfd takes the pidfd first and compares the start time then: if that is the expected one, the pidfd cannot be of a
// later process with the same pid.
func openPidfd(id proc.ID) (int, proc.ID, error) {
	pidfd, err := unix.PidfdOpen(id.PID, 0)
	if err == unix.ESRCH || err == unix.EINVAL { // EINVAL: no pid at all
		return -1, id, proc.ErrGone
	}
	if err != nil {
		return -1, id, err
	}
	now, err := proc.Identify(id.PID)
	if id.Start == 0 {
		id.Start = now.Start
	}
	if err == nil && now != id {
		err = proc.ErrGone
	}
	if err != nil {
		unix.Close(pidfd)
		return -1, id, err
	}
	return pidfd, id, nil
}

// watch takes over the pidfd, whatever it returns.
func (w *watcher) watch(id proc.ID, pidfd int, child bool, ended func(exit)) (*watched, error) {
	p := &watched{w: w, id: id, child: child, ended: ended, pidfd: pidfd}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing && !child {
		unix.Close(pidfd)
		return nil, fmt.Errorf("cannot watch process %v: %w", id, errClosed)
	}
	p.told = w.closing // a child is to be reaped all the same
	p.mu.Lock()        // until its key is known
	defer p.mu.Unlock()
	key, err := w.loop.add(pidfd, sock.Readable, p.ready)
	if err != nil {
		unix.Close(pidfd)
		return nil, fmt.Errorf("cannot watch process %v: %w", id, err)
	}
	p.key = key
	w.all[p] = struct{}{}
	return p, nil
}

// ready runs when the process has ended, and perhaps again when it has been reaped.
func (p *watched) ready(f sock.Flags) {
	p.mu.Lock()
	if p.pidfd < 0 {
		p.mu.Unlock()
		return
	}
	e := p.look()
	if e.known || !p.child && f&sock.Hangup != 0 {
		p.finish(e)
		return
	}
	if p.late == nil {
		// Dead, and its parent has yet to take note. Wait for the hang-up that follows, not for the death again.
		p.w.loop.want(p.pidfd, p.key, 0)
		p.late = time.AfterFunc(reapPatience, p.expired)
	}
	p.mu.Unlock()
}

// expired runs when nobody knows in time how a dead process has ended.
func (p *watched) expired() {
	p.mu.Lock()
	if p.pidfd < 0 {
		p.mu.Unlock()
		return
	}
	e := p.look()
	if e.known || !p.child {
		p.finish(e)
		return
	}
	// A debugger has our child first. It is reaped all the same, once he lets go of it.
	p.late.Reset(time.Second)
	ended := p.take()
	p.mu.Unlock()
	ended(e)
}

// look returns how a dead process has ended, as far as that is known.
func (p *watched) look() exit {
	if p.child {
		e, err := childStatus(p.pidfd)
		if err != unix.ECHILD {
			return e
		}
		p.child = false // other code of this process has reaped it
	}
	if e := exitInfo(p.pidfd); e.known {
		return e
	}
	return zombieStatus(p.id)
}

// take returns what is to be called, the first time. p is locked.
func (p *watched) take() func(exit) {
	if p.told {
		return func(exit) {}
	}
	p.told = true
	return p.ended
}

// finish tells how the process ended, and then clears it away: that takes the kernel longer. It unlocks p.
func (p *watched) finish(e exit) {
	ended := p.take()
	p.mu.Unlock()
	ended(e)
	p.mu.Lock()
	if p.pidfd >= 0 {
		if p.child {
			reap(p.id.PID)
		}
		p.release()
	}
	p.mu.Unlock()
	p.w.forget(p)
}

// release closes the pidfd. p is locked.
func (p *watched) release() {
	p.w.loop.del(p.pidfd, p.key)
	unix.Close(p.pidfd)
	p.pidfd = -1
	if p.late != nil {
		p.late.Stop()
	}
}

// drop ends the watch without a word, except that a child is still reaped when it ends.
func (p *watched) drop() {
	p.mu.Lock()
	p.told = true
	over := p.pidfd >= 0 && !p.child
	if over {
		p.release()
	}
	p.mu.Unlock()
	if over {
		p.w.forget(p)
	}
}

func (w *watcher) forget(p *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, p)
	if w.closing && len(w.all) == 0 {
		w.loop.stop()
	}
}

// close ends all watches. Children that still run are reaped when they end, as long as this process lives: it is the one
// thing that goes on.
func (w *watcher) close() {
	w.mu.Lock()
	w.closing = true
	all := make([]*watched, 0, len(w.all))
	for p := range w.all {
		all = append(all, p)
	}
	w.mu.Unlock()
	for _, p := range all {
		p.drop()
	}
	w.mu.Lock()
	idle := len(w.all) == 0
	w.mu.Unlock()
	if idle {
		w.loop.close()
	}
}
