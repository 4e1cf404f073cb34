package hands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// listeners returns the descriptors of the sockets that a program is started with, in order. Those that it had in an earlier life
// are the same, with all connections that wait at them; those that it shall have no more are closed.
func (h *Hands) listeners(entity string, sockets []core.Socket, o core.Owner) (fds []int, err error) {
	var wanted []string
	for _, s := range sockets {
		key := heldKey(entity, "listen", s.Network, s.Address)
		fd, ok := h.held.get(key)
		if !ok {
			if err := as(o, func() error { fd, err = listen(s.Network, s.Address); return err }); err != nil {
				return nil, fmt.Errorf("cannot listen at %s %s: %w", s.Network, s.Address, err)
			}
			h.held.put(key, fd)
		}
		wanted = append(wanted, key)
		fds = append(fds, fd)
	}
	for _, key := range h.held.keys(entity, "listen") {
		if !slices.Contains(wanted, key) {
			h.unlisten(key, o)
		}
	}
	return fds, nil
}

// unlisten closes a socket, and removes the file of one that has one.
func (h *Hands) unlisten(key string, o core.Owner) {
	h.held.drop(key)
	words := heldWords(key)
	if network, address := words[2], words[3]; strings.HasPrefix(network, "unix") && !strings.HasPrefix(address, "@") {
		_ = as(o, func() error { return os.Remove(address) })
	}
}

// listen opens a socket. It is blocking, as programs expect it of sd_listen_fds(3).
func listen(network, address string) (fd int, err error) {
	fd, err = listenOnce(network, address)
	if errors.Is(err, unix.EADDRINUSE) && strings.HasPrefix(network, "unix") && stale(network, address) {
		_ = os.Remove(address)
		fd, err = listenOnce(network, address)
	}
	return fd, err
}

func listenOnce(network, address string) (fd int, err error) {
	var s interface {
		File() (*os.File, error)
		Close() error
	}
	config := net.ListenConfig{}
	switch network {
	case "udp", "udp4", "udp6", "unixgram":
		c, err := config.ListenPacket(context.Background(), network, address)
		if err != nil {
			return -1, err
		}
		switch c := c.(type) {
		case *net.UDPConn:
			s = c
		case *net.UnixConn:
			s = c
		}
	default:
		l, err := config.Listen(context.Background(), network, address)
		if err != nil {
			return -1, err
		}
		switch l := l.(type) {
		case *net.TCPListener:
			s = l
		case *net.UnixListener:
			l.SetUnlinkOnClose(false)
			s = l
		}
	}
	defer s.Close()
	f, err := s.File()
	if err != nil {
		return -1, err
	}
	defer f.Close()
	if fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, false)
}

// stale reports whether nobody is behind the file of a socket any more.
func stale(network, address string) bool {
	info, err := os.Lstat(address)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	c, err := net.Dial(network, address)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

// listenNames are what LISTEN_FDNAMES says about descriptors: a word for each, without colons.
func listenNames(sockets []core.Socket, stored []string) string {
	var names []string
	for _, s := range sockets {
		name := s.Name
		if name == "" {
			name = s.Address
		}
		names = append(names, name)
	}
	names = append(names, stored...)
	for i, n := range names {
		names[i] = strings.Map(func(r rune) rune {
			if r == ':' || r < ' ' || r == 0x7f {
				return '_'
			}
			return r
		}, n)
	}
	return strings.Join(names, ":")
}
