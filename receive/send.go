package receive

import (
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// push sends what is queued, unless somebody is at it.
func (c *Conn) push() {
	if !c.sending && c.s.up && len(c.s.queue)+len(c.s.cancels) > 0 {
		c.sending = true
		c.flush()
	}
}

// flush sends until nothing is queued. Called with the lock held and sending
// set; the lock is free while the kernel works.
func (c *Conn) flush() {
	for {
		pkt := c.s.fill(c.out)
		if len(pkt) == 0 || c.link == nil {
			c.sending = false
			return
		}
		c.out = pkt
		l, epoch := c.link, c.s.epoch
		l.acquire()
		c.mu.Unlock()
		wire.Finish(pkt, epoch)
		err := l.send(pkt)
		c.mu.Lock()
		if err == sock.ErrAgain {
			go c.drain(l, pkt) // rare: the server has 200 KiB unread; a caller with a deadline cannot wait for it
			return
		}
		c.sent(l, err)
	}
}

// drain sends pkt when there is room for it, and then the rest.
func (c *Conn) drain(l *link, pkt []byte) {
	err := sock.ErrAgain
	for err == sock.ErrAgain {
		l.waitWritable()
		err = l.send(pkt)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent(l, err)
	c.flush()
}

// sent ends one use of a link for sending. After a failure the leader, who
// reads what the server still had to say, finds the end of the connection.
func (c *Conn) sent(l *link, err error) {
	if err != nil && c.link == l {
		c.s.unsent()
		l.shutdown()
	}
	l.release()
}
