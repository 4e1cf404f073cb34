package proc

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Beacon tells one watcher that this process has died, by a robust futex: a
// thread that does nothing else owns the word of a [Cell], and when the kernel
// ends that thread, for whatever reason, it marks the word and wakes the watcher,
// before it frees the memory of the process.
type Beacon struct {
	cell *Cell
	tid  uint32
	out  chan struct{} // closed: go out
	dark chan struct{} // closed by the thread: the kernel knows nothing of the cell any more
	once sync.Once
}

// Light starts a thread that keeps a beacon in the cell until Extinguish or the
// end of the process. The cell must stay mapped, at the same place, for that long.
// The error is ErrLit unless the cell is dark.
func Light(c *Cell) (*Beacon, error) {
	b := &Beacon{cell: c, out: make(chan struct{}), dark: make(chan struct{})}
	lit := make(chan error)
	go b.burn(lit)
	if err := <-lit; err != nil {
		return nil, fmt.Errorf("cannot light a beacon: %w", err)
	}
	return b, nil
}

// TID returns the beacon's thread.
func (b *Beacon) TID() int { return int(b.tid) }

// Announce tells the watcher now that this process will die. It is for a planned
// end, and for a panic, which spends milliseconds in the runtime before it ends
// the process: announce first, print afterwards. It neither blocks nor allocates,
// and there is no way back.
func (b *Beacon) Announce() { b.cell.replace(b.tid, dead) }

// Extinguish takes the beacon away without alarm, rings the cell, and ends the
// beacon's thread. When it returns the cell may be unmapped. What has been announced
// stays so.
func (b *Beacon) Extinguish() {
	b.once.Do(func() { close(b.out) })
	<-b.dark
}

// burn is the life of the beacon's thread. No other goroutine ever runs on it: one
// that ended it, by exec or by returning while locked to it, would raise the alarm.
func (b *Beacon) burn(lit chan<- error) {
	runtime.LockOSThread() // never undone: so the thread ends with this function
	if unix.Gettid() == unix.Getpid() {
		b.burnElsewhere(lit)
		return
	}
	var list robustList
	if err := list.register(b.cell); err != nil {
		lit <- err
		return
	}
	defer close(b.dark)
	defer list.unregister()
	b.tid = uint32(unix.Gettid())
	if err := b.cell.claim(b.tid); err != nil {
		lit <- err
		return
	}
	lit <- nil
	<-b.out
	b.cell.replace(b.tid, darkRung)
}

// burnElsewhere keeps the calling thread, which is the first of the process, until
// the beacon burns on another: the first one cannot end alone, and is the last to
// go when a process dies.
func (b *Beacon) burnElsewhere(lit chan<- error) {
	defer runtime.UnlockOSThread()
	burning := make(chan error)
	go b.burn(burning)
	lit <- <-burning
}

// robustList is a thread's list of robust futexes, of one entry. The entry is
// private memory: from a node in the shared cell, a scribble of another process
// could lead the kernel astray.
type robustList struct {
	pin runtime.Pinner
	mem *robustMemory
}

// robustMemory is struct robust_list_head of the kernel, with its only node.
type robustMemory struct {
	first   uintptr // address of node
	offset  uintptr // from a node to its word
	pending uintptr
	node    uintptr // address of first, as that ends the list
}

// headSize is the size of struct robust_list_head, which the kernel insists on.
const headSize = unsafe.Offsetof(robustMemory{}.node)

// register makes the cell's word the only robust futex of this thread.
func (l *robustList) register(c *Cell) error {
	l.mem = new(robustMemory)
	l.pin.Pin(l.mem) // the kernel holds its address
	head, node := uintptr(unsafe.Pointer(&l.mem.first)), uintptr(unsafe.Pointer(&l.mem.node))
	l.mem.first, l.mem.node = node, head
	l.mem.offset = uintptr(unsafe.Pointer(&c.word)) - node
	if err := setRobustList(l.mem); err != nil {
		l.pin.Unpin()
		return err
	}
	return nil
}

// unregister leaves this thread without robust futexes.
func (l *robustList) unregister() {
	if err := setRobustList(nil); err == nil {
		l.pin.Unpin()
	}
}

func setRobustList(mem *robustMemory) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(mem)), headSize, 0)
	if errno != 0 {
		return fmt.Errorf("cannot set the robust list: %w", errno)
	}
	return nil
}
