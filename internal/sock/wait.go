package sock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// WaitReadable waits until a read or accept on fd has something to say: data, a
// connection, the end or an error. It reports false when the timeout is over
// first. A timeout of 0 only looks, one below 0 never ends.
func WaitReadable(fd int, timeout time.Duration) (bool, error) {
	return waitReadable([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, timeout)
}

// WaitReadable2 is WaitReadable for two descriptors, say a socket and an eventfd
// that wakes the waiter. It reports which of them are ready: neither after the
// timeout.
func WaitReadable2(fd, wakefd int, timeout time.Duration) (a, b bool, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wakefd), Events: unix.POLLIN}}
	_, err = waitReadable(fds, timeout)
	return fds[0].Revents != 0, fds[1].Revents != 0, err
}

func waitReadable(fds []unix.PollFd, timeout time.Duration) (bool, error) {
	deadline := time.Now().Add(timeout)
	for {
		var ts *unix.Timespec
		if timeout >= 0 {
			left := unix.NsecToTimespec(int64(max(0, timeout)))
			ts = &left
		}
		n, err := unix.Ppoll(fds, ts, nil)
		switch {
		case err == unix.EINTR:
			if timeout > 0 {
				timeout = max(0, time.Until(deadline))
			}
			continue
		case err != nil:
			return false, fmt.Errorf("cannot wait: %w", err)
		}
		for i := range fds {
			// Otherwise a descriptor closed by mistake would look ready for ever.
			if fds[i].Revents&unix.POLLNVAL != 0 {
				fds[i].Revents = 0
				return false, fmt.Errorf("cannot wait for descriptor %d: %w", fds[i].Fd, unix.EBADF)
			}
		}
		return n > 0, nil
	}
}
