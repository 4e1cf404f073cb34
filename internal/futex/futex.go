package futex

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2), from linux/futex.h; x/sys does not name them.
const (
	opWait = 0
	opWake = 1
)

// Wait sleeps while *addr == val, for at most timeout; timeout <= 0 sets no limit. It returns when it
// was woken, when the word differs, at the timeout, or on a signal, and does not say which.
//
// It holds an operating system thread while it sleeps, but no processor of the Go scheduler.
func Wait(addr *uint32, val uint32, timeout time.Duration) {
	var limit *unix.Timespec
	if timeout > 0 {
		ts := unix.NsecToTimespec(timeout.Nanoseconds())
		limit = &ts
	}
	// Every error (EAGAIN, EINTR, ETIMEDOUT) is a reason to look again, which is what returning asks for.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWait, uintptr(val),
		uintptr(unsafe.Pointer(limit)), 0, 0)
}

// Wake wakes at most n waiters of addr, of all processes, and returns how many it woke.
func Wake(addr *uint32, n int) int {
	// A raw system call: it never sleeps, so the scheduler need not hear of it.
	woken, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWake, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(woken)
}
