package pair

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// The planned end of a pair: the backup leaves first, the requesters are told, the name is given up.

// stopWithin is how long the other member may take to leave when the pair is stopped.
const stopWithin = 2 * time.Second

// stopPartner has the backup leave before this primary does.
func (m *member) stopPartner() {
	m.app.notify(receive.Stopping{Deadline: time.Now().Add(stopWithin)})
	m.flush()
	l := m.link
	if l == nil {
		if m.child != nil {
			m.fenceChild(m.child)
		}
		return
	}
	if b := m.reserve(kindStop, 8); b != nil {
		m.commit()
	}
	m.ring()
	waitSilent(l.peer, stopWithin)
	if err := l.writer.Close(); err != nil && !errors.Is(err, checkpoint.ErrClosed) {
		m.log.Error("the backup took over instead of stopping", "cause", err)
		return
	}
	if err := l.peer.Fence(fenceWithin); err != nil {
		m.log.Error("the backup cannot be fenced; it can never take over", "pid", l.peerID.PID, "error", err)
	}
}

// askStop asks the primary to stop the pair. If it dies first, this member takes over and stops the pair itself.
func (m *member) askStop() {
	if m.link == nil {
		return
	}
	if err := m.link.send(m.roles.epoch, &wire.Frame{Kind: wire.KindStop}); err != nil {
		m.log.Warn("cannot ask the primary to stop", "cause", err)
	}
}

// farewell tells everybody that the pair stops, and leaves the name.
func (m *member) farewell() {
	code, text := receive.Describe(receive.ErrStopping)
	pkt, err := wire.Pack(nil, m.roles.epoch, &wire.Frame{Kind: wire.KindBye, Low: uint64(int64(code)), Body: []byte(text)})
	m.seats.each(func(c *conn) {
		if err == nil && c.fd >= 0 && c.kind < connListener {
			_ = sock.Send(c.fd, pkt)
		}
	})
	_ = unix.Unlinkat(m.dir.FD(), m.dir.SocketName(), 0) // ours, wherever the directory is by now
}
