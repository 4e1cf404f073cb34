package pair

import (
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// requestersOnly is the part of an application that serves nobody but requesters.
type requestersOnly struct{}

func (requestersOnly) listen() error                              { return nil }
func (requestersOnly) listeners() (addrs, at []string, fds []int) { return nil, nil, nil }
func (requestersOnly) send(*conn)                                 {}
func (requestersOnly) forget()                                    {}
func (requestersOnly) effects() error                             { return nil }
func (requestersOnly) busy() bool                                 { return false }
func (requestersOnly) close()                                     {}
func (requestersOnly) ready(*conn, sock.Event)                    {}
func (requestersOnly) schema() []byte                             { return nil }
func (requestersOnly) readable([]byte) error                      { return nil }

func (requestersOnly) adopt(_, _ []string, fds []int) error {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	return nil
}
