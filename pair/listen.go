package pair

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// Protocol is a byte-stream protocol of requests and replies, such as HTTP's or Redis's, for clients that know nothing of
// pairs. Their connections outlive the process that accepted them, and every request is handled once: its place in the
// stream of its connection is its sync ID.
type Protocol struct {
	// Cut returns the length of the first request in b, which is not empty; 0: b holds only the beginning of one. An error
	// is told to the client by Fail, and ends its connection. The result must depend on b only.
	Cut func(b []byte) (n int, err error)
	// Handle handles one request and appends its reply to dst. It is called by one request at a time, like the handlers
	// of [Handle], and everything said there holds: what it changes of the tracked state becomes visible together
	// with the reply; an error undoes every change of the call, and is told by Fail. req and dst are valid
	// during the call only.
	Handle func(c *Call, req, dst []byte) (reply []byte, err error)
	// Fail appends the reply that tells the client of an error. With BackupLazy and BackupEager it must depend on the
	// error only. Nil: the connection is closed instead.
	Fail func(dst []byte, err error) []byte
	// Interim appends what is to be said to the beginning of a request, b, such as HTTP's "100 Continue". It is asked about a
	// request that has not come whole until it says something, and must depend on b only. Nil: nothing.
	Interim func(b, dst []byte) []byte
	// Closed runs when a connection has ended, like a request without a reply: to forget what was kept under its
	// Call.Opener. Nil: nothing is to be forgotten.
	Closed func(c *Call) error
	// MaxRequest bounds a request, in bytes. What is longer is told by Fail with [receive.ErrTooLarge], and ends the
	// connection. Default, and most: what fits one record (Config.LogSize/4, less some).
	MaxRequest int
}

// origin is one address that a service listens on. The sockets are shared by both members, so no client is ever refused.
type origin struct {
	addr     string // as it was asked for
	at       string // as it is
	fd       int    // -1: not open
	protocol *Protocol
	door     string // path of a socket for requesters of other users; "": none
	handle   *method
	closed   *method // nil: nothing runs at the end of a connection

	// Of an address without a protocol: somebody else accepts, on the primary.
	start func(fd int)
	stop  func()
}

// maxOrigins is how many addresses a service can listen on: their descriptors travel in one packet.
const maxOrigins = 64

// Listen makes the service serve a stream protocol on a TCP address, such as "127.0.0.1:7000"; port 0 is the kernel's
// choice, which the log and the status tell. It must be called before Run. An address that cannot be listened on ends
// Run with an error.
func Listen(s *Service, addr string, p Protocol) {
	if p.Cut == nil || p.Handle == nil {
		panic(fmt.Sprintf("pair: cannot listen on %q: expected a Protocol with Cut and Handle", addr))
	}
	o := s.origin(addr)
	o.protocol = &p
	o.handle = &method{name: fmt.Sprintf("stream\x00%d", len(s.origins)), run: p.Handle, fail: p.fail}
	s.handlers[o.handle.name] = o.handle
	if p.Closed == nil {
		return
	}
	o.closed = &method{name: o.handle.name + " closed", run: func(c *Call, _, dst []byte) ([]byte, error) { return dst, p.Closed(c) }}
	s.handlers[o.closed.name] = o.closed
}

func (s *Service) origin(addr string) *origin {
	if s.m != nil || len(s.origins) == maxOrigins {
		panic(fmt.Sprintf("pair: cannot listen on %q: the service runs, or listens on %d addresses already", addr, maxOrigins))
	}
	o := &origin{addr: addr, fd: -1}
	s.origins = append(s.origins, o)
	return o
}

// fail appends what tells the client of an error.
func (p *Protocol) fail(dst []byte, err error) []byte {
	if p.Fail == nil {
		return dst
	}
	return p.Fail(dst, err)
}

// listen opens what is not open yet.
func (s *Service) listen() error {
	for _, o := range s.origins {
		if o.fd >= 0 {
			continue
		}
		var err error
		if o.door != "" {
			o.at = o.addr
			o.fd, err = openDoor(o.door)
		} else {
			o.fd, o.at, err = sock.ListenTCP(o.addr)
		}
		if err != nil {
			return err
		}
		if err := s.seatOrigin(o); err != nil {
			return err
		}
		s.m.log.Info("listening", "addr", o.at)
	}
	return nil
}

func (s *Service) seatOrigin(o *origin) error {
	if !o.seated() {
		return nil
	}
	return s.m.seat(&conn{fd: o.fd, kind: connListener, origin: o})
}

// listeners returns the addresses and their sockets, for a new backup.
func (s *Service) listeners() (addrs, at []string, fds []int) {
	for _, o := range s.origins {
		if o.fd >= 0 {
			addrs, at, fds = append(addrs, o.addr), append(at, o.at), append(fds, o.fd)
		}
	}
	return addrs, at, fds
}

// adopt takes the primary's sockets over, as far as this version of the program listens there.
func (s *Service) adopt(addrs, at []string, fds []int) error {
	if len(addrs) != len(fds) || len(at) != len(fds) {
		return fmt.Errorf("%d listeners with %d addresses: %w", len(fds), len(addrs), errMalformedRecord)
	}
	for i, fd := range fds {
		o := s.originOf(addrs[i])
		if o == nil {
			_ = unix.Close(fd)
			continue
		}
		o.fd, o.at = fd, at[i]
		if err := s.seatOrigin(o); err != nil {
			return err
		}
	}
	return nil
}

// seated reports whether the member's own loop accepts there.
func (o *origin) seated() bool { return o.protocol != nil || o.door != "" }

func (s *Service) originOf(addr string) *origin {
	for _, o := range s.origins {
		if o.addr == addr && o.fd < 0 {
			return o
		}
	}
	return nil
}

// startOrigins hands the sockets of addresses without a protocol to those who accept there.
func (s *Service) startOrigins() {
	for _, o := range s.origins {
		if o.start != nil && o.fd >= 0 {
			o.start(o.fd)
		}
	}
}

func (s *Service) stopOrigins() {
	for _, o := range s.origins {
		if o.stop != nil {
			o.stop()
		}
	}
}

// closeOrigins closes the sockets that no seat holds.
func (s *Service) closeOrigins() {
	s.stopOrigins()
	for _, o := range s.origins {
		if !o.seated() && o.fd >= 0 {
			_ = unix.Close(o.fd)
		}
		o.fd = -1
	}
}
