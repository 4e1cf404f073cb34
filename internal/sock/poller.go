package sock

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags say what a descriptor is ready for, or what to wait for.
type Flags uint8

const (
	Readable Flags = 1 << iota // something to receive or to accept, or the end of it
	Writable                   // room to send
	Hangup                     // nobody holds the other end, or the descriptor has failed; always waited for
)

// Event says that the descriptor added under Key is ready.
type Event struct {
	Key   uint64
	Flags Flags
}

// wakeKey is the key of the poller's own eventfd.
const wakeKey = math.MaxUint64

// maxEvents bounds the events of one Wait.
const maxEvents = 128

// Poller waits for many descriptors at once, level-triggered: a descriptor is
// reported by every Wait for as long as it is ready. One goroutine calls Wait; the
// other methods may be called from any.
//
// What is watched is the open file behind a descriptor, and it is watched until
// its last descriptor is closed, in whatever process. So call Del before closing a
// descriptor that another process holds too: its events would go on, and nothing
// could stop them.
type Poller struct {
	epfd   int
	wakefd int
	woken  atomic.Bool // a wake-up is under way: further ones are part of it

	mu     sync.Mutex // Wake against Close: a reused descriptor would get the write
	closed bool

	raw [maxEvents]unix.EpollEvent // of the goroutine in Wait
}

// NewPoller returns a poller that watches nothing yet.
func NewPoller() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot create a poller: %w", noDescriptors(err))
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("cannot create a poller: %w", noDescriptors(err))
	}
	p := &Poller{epfd: epfd, wakefd: wakefd}
	// Edge-triggered: each write is one event, and nobody need read the counter.
	if err := p.ctl(unix.EPOLL_CTL_ADD, wakefd, unix.EPOLLIN|unix.EPOLLET, wakeKey); err != nil {
		p.Close()
		return nil, fmt.Errorf("cannot create a poller: %w", err)
	}
	return p, nil
}

// Add watches fd for these flags and Hangup. The key comes back in its events; any
// will do but math.MaxUint64.
func (p *Poller) Add(fd int, key uint64, events Flags) error {
	if key == wakeKey {
		return errors.New("cannot watch a descriptor: its key is reserved")
	}
	return p.set("watch", unix.EPOLL_CTL_ADD, fd, key, events)
}

// Mod changes key and flags of a descriptor that is watched.
func (p *Poller) Mod(fd int, key uint64, events Flags) error {
	if key == wakeKey {
		return errors.New("cannot watch a descriptor: its key is reserved")
	}
	return p.set("go on watching", unix.EPOLL_CTL_MOD, fd, key, events)
}

// Del ends the watch. Events that a Wait has returned already may still name it.
func (p *Poller) Del(fd int) error {
	return p.set("stop watching", unix.EPOLL_CTL_DEL, fd, 0, 0)
}

func (p *Poller) set(what string, op, fd int, key uint64, events Flags) error {
	var mask uint32
	if events&Readable != 0 {
		mask |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if events&Writable != 0 {
		mask |= unix.EPOLLOUT
	}
	if err := p.ctl(op, fd, mask, key); err != nil {
		return fmt.Errorf("cannot %s descriptor %d: %w", what, fd, err)
	}
	return nil
}

// ctl puts the key where the kernel's 64 bits of user data are: x/sys cuts them in two.
func (p *Poller) ctl(op, fd int, mask uint32, key uint64) error {
	return unix.EpollCtl(p.epfd, op, fd, &unix.EpollEvent{Events: mask, Fd: int32(uint32(key)), Pad: int32(uint32(key >> 32))})
}

// Wait fills events with what is ready and returns how many. If nothing is it waits
// for at most the timeout, counted in whole milliseconds, rounded up: 0 only looks,
// below 0 there is no limit. It also returns, possibly with none, after Wake and
// after a signal: callers look again at whatever they wait for. A wake-up itself is
// not among the events.
func (p *Poller) Wait(events []Event, timeout time.Duration) (n int, err error) {
	if len(events) == 0 {
		return 0, errors.New("cannot wait: no room for events")
	}
	room := min(len(events), maxEvents)
	// A busy poller has events waiting: look first, without leaving the scheduler.
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(room), 0, 0, 0)
	if errno == 0 && r == 0 && timeout != 0 {
		r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(room), uintptr(milliseconds(timeout)), 0, 0)
	}
	switch errno {
	case 0:
	case unix.EINTR:
		return 0, nil
	default:
		return 0, fmt.Errorf("cannot wait: %w", errno)
	}
	return p.collect(events, p.raw[:r]), nil
}

// collect turns the kernel's events into ours, without wake-ups.
func (p *Poller) collect(events []Event, raw []unix.EpollEvent) (n int) {
	for i := range raw {
		key := uint64(uint32(raw[i].Pad))<<32 | uint64(uint32(raw[i].Fd))
		if key == wakeKey {
			// Before the caller looks at its queue: whoever finds the flag set has
			// put its work there before.
			p.woken.Store(false)
			continue
		}
		events[n] = Event{Key: key, Flags: flagsOf(raw[i].Events)}
		n++
	}
	return n
}

func flagsOf(mask uint32) (f Flags) {
	if mask&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
		f |= Readable
	}
	if mask&unix.EPOLLOUT != 0 {
		f |= Writable
	}
	if mask&(unix.EPOLLHUP|unix.EPOLLRDHUP|unix.EPOLLERR) != 0 {
		f |= Hangup
	}
	return f
}

// milliseconds rounds up, and keeps what has no limit without one.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	ms := d / time.Millisecond
	if d%time.Millisecond != 0 {
		ms++
	}
	return int(min(ms, math.MaxInt32))
}

// Wake makes the present or else the next Wait return. Any number of calls before
// that cost one write. It may be called from any goroutine, also after Close.
func (p *Poller) Wake() {
	if p.woken.Load() || p.woken.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		one := [8]byte{1} // its value counts for nothing, as long as it is none
		_, _ = unix.Write(p.wakefd, one[:])
	}
}

// Close ends all watches. No Wait may be under way: wake it first.
func (p *Poller) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	unix.Close(p.wakefd)
	unix.Close(p.epfd)
	return nil
}
