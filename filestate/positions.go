package filestate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// positionLooks bounds the looks at a connection that another process still uses. Two that nobody disturbs agree at
// once; the peer alone can only disturb until the socket's buffers are full, or empty.
const positionLooks = 1 << 16

// TCPPositions returns how many bytes of an accepted TCP connection have been taken out of the kernel, and how many have
// been given to it, since the connection was made: what a process that died did last with it, whatever its last
// instruction was. Bytes that were only peeked at have not been taken; bytes written need not have been sent.
//
// The connection must not be read or written meanwhile, by anybody: fence first. The error is ErrOver when the
// connection has ended in both directions.
//
// Source: RFC 4898, tcpEStatsAppHCThruOctetsReceived and ...Acked, as Linux keeps them since 4.1. They count sequence numbers, so
// loss, retransmission, probes of a closed window and packets that the host itself refused do not blur them, which cannot
// be said of tcpi_bytes_sent less tcpi_bytes_retrans. They count a FIN too, and for the side that dialled its SYN; the
// first is counted out here, the second is why only accepted connections are right. Urgent data must be kept in line
// (SO_OOBINLINE, which a listener hands on), or reading leaves its byte out.
func TCPPositions(fd int) (read, written uint64, err error) {
	before, err := tcpInfo(fd)
	for look := 0; err == nil && look < positionLooks; look++ {
		if before.State == tcpClose {
			err = ErrOver
			break
		}
		var unread, unacked int
		var after *unix.TCPInfo
		if unread, err = unix.IoctlGetInt(fd, unix.SIOCINQ); err != nil {
			break
		}
		if unacked, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ); err != nil {
			break
		}
		if after, err = tcpInfo(fd); err != nil {
			break
		}
		if sameMoment(before, after) {
			finIn, finOut := fins(after.State)
			return after.Bytes_received - finIn - uint64(unread), after.Bytes_acked + uint64(unacked) - finOut, nil
		}
		before = after
	}
	if err == nil {
		err = errors.New("somebody still uses it")
	}
	return 0, 0, fmt.Errorf("cannot tell the positions of the connection: %w", err)
}

// sameMoment reports that no byte came in or was acknowledged between two looks. The counters only grow.
func sameMoment(a, b *unix.TCPInfo) bool {
	return a.Bytes_received == b.Bytes_received && a.Bytes_acked == b.Bytes_acked && a.State == b.State
}

// States of a TCP connection, as in tcpi_state (enum in the kernel's net/tcp_states.h, which is stable).
const (
	tcpFinWait1  = 4
	tcpFinWait2  = 5
	tcpClose     = 7
	tcpCloseWait = 8
	tcpLastAck   = 9
	tcpClosing   = 11
)

// fins returns the sequence numbers that the end marks of both directions have used up. SIOCINQ leaves a received one
// out; SIOCOUTQ counts a sent one until it is acknowledged, and tcpi_bytes_acked from then on.
func fins(state uint8) (in, out uint64) {
	switch state {
	case tcpCloseWait:
		return 1, 0
	case tcpFinWait1, tcpFinWait2:
		return 0, 1
	case tcpLastAck, tcpClosing:
		return 1, 1
	}
	return 0, 0
}

func tcpInfo(fd int) (*unix.TCPInfo, error) {
	return unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
}
