package receive

import (
	"context"
	"fmt"
	"sync"
)

// MaxReceiveDepth is the most requests that may be read and not yet answered
// ($RECEIVE's limit since H06.18).
const MaxReceiveDepth = 16300

const defaultSystemQueue = 256

// Request is a requester's message.
type Request struct {
	Tag      int    // names the request in Reply; -1 if read with Read
	Opener   uint64 // which open it came by
	SyncID   uint64 // its number in that open
	Low      uint64 // the lowest number the requester still waits for
	Method   string
	Body     []byte
	MaxReply int   // most bytes a reply may have
	Priority uint8 // higher goes first, if the inbox is ordered by priority
	Sender   Identity
}

// Reply is what an Inbox hands to its owner for delivery.
type Reply struct {
	To        Message // the *Request or Open that is answered
	Data      []byte
	Err       error
	Cancelled bool // nobody waits for it
}

// InboxConfig says how an Inbox behaves. The zero value works.
type InboxConfig struct {
	// Depth is the receive depth: how many messages may be read with ReadUpdate
	// and not yet answered. 0 means 1; below 0 only Read is allowed.
	Depth int
	// Priority delivers requests by their priority, and first come first served
	// among equals (SETMODE 36).
	Priority bool
	// System asks for Open and Close. Without it opens are granted unseen.
	System bool
	// Queue bounds the unread system messages; what comes beyond it is lost and
	// Overrun tells so. 0 means 256. Opens, closes and cancellations are not counted.
	Queue int
	// Pump, if set, is called by a reader that finds nothing, never by two at
	// a time. It returns when something may have been pushed, or with the error
	// that the reader then gets. Who pushes from elsewhere must make it return.
	Pump func(context.Context) error
	// Reply delivers a reply. It is called without a lock held, by whoever replies.
	Reply func(Reply) error
}

// Inbox is the queue of everything that arrives for a process: $RECEIVE. All
// methods may be called from any goroutine.
type Inbox struct {
	cfg   InboxConfig
	mu    sync.Mutex
	queue queue
	tags  tags
	lost  int           // system messages dropped since the last Overrun was read
	pump  bool          // a reader is in Pump
	news  chan struct{} // closed when something was pushed or Pump has returned; nil if nobody waits
}

// NewInbox returns an empty inbox.
func NewInbox(cfg InboxConfig) *Inbox {
	switch {
	case cfg.Depth == 0:
		cfg.Depth = 1
	case cfg.Depth < 0:
		cfg.Depth = 0
	}
	cfg.Depth = min(cfg.Depth, MaxReceiveDepth)
	if cfg.Queue <= 0 {
		cfg.Queue = defaultSystemQueue
	}
	if cfg.Reply == nil {
		cfg.Reply = func(Reply) error { return nil }
	}
	return &Inbox{cfg: cfg, queue: newQueue(cfg.Priority), tags: tags{depth: cfg.Depth}}
}

// Push queues a message behind those that are there.
func (in *Inbox) Push(m Message) { in.push(m, false) }

// PushFront queues a message ahead of all requests, behind other early ones.
// On NonStop such is the news that a processor is down (-2).
func (in *Inbox) PushFront(m Message) { in.push(m, true) }

func (in *Inbox) push(m Message, early bool) {
	if !in.cfg.System {
		switch m.(type) {
		case Open:
			_ = in.cfg.Reply(Reply{To: m}) // whoever delivers reports for itself
			return
		case Close:
			return
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if droppable(m) && in.queue.droppable >= in.cfg.Queue {
		in.lost++
	} else {
		in.queue.push(m, early)
	}
	in.tell()
}

// tell wakes every waiting reader.
func (in *Inbox) tell() {
	if in.news != nil {
		close(in.news)
		in.news = nil
	}
}

// Read takes the next message and completes the exchange: a requester gets an
// empty reply at once.
func (in *Inbox) Read(ctx context.Context) (Message, error) {
	m, err := in.next(ctx, false)
	if err != nil {
		return nil, err
	}
	switch m.(type) {
	case *Request, Open:
		if err := in.cfg.Reply(Reply{To: m}); err != nil {
			return m, fmt.Errorf("cannot complete a read message: %w", err)
		}
	}
	return m, nil
}

// ReadUpdate takes the next message. A *Request or an Open comes with a tag and
// must be answered with Reply. ErrDepth: there is no free tag, and no message
// waiting that needs none; reply first. ErrInvalidOperation: the depth is 0.
func (in *Inbox) ReadUpdate(ctx context.Context) (Message, error) {
	if in.cfg.Depth == 0 {
		return nil, fmt.Errorf("cannot read for update with receive depth 0: %w", ErrInvalidOperation)
	}
	return in.next(ctx, true)
}

func (in *Inbox) next(ctx context.Context, update bool) (Message, error) {
	for {
		in.mu.Lock()
		m, err := in.take(update)
		if m != nil || err != nil {
			in.mu.Unlock()
			return m, err
		}
		if err := ctx.Err(); err != nil {
			in.mu.Unlock()
			return nil, fmt.Errorf("cannot read the inbox: %w", err)
		}
		if in.cfg.Pump == nil || in.pump {
			if in.news == nil {
				in.news = make(chan struct{})
			}
			news := in.news
			in.mu.Unlock()
			select {
			case <-news:
			case <-ctx.Done():
			}
			continue
		}
		in.pump = true
		in.mu.Unlock()
		if err := in.runPump(ctx); err != nil {
			return nil, fmt.Errorf("cannot read the inbox: %w", err)
		}
	}
}

// runPump lets the next reader pump when it is done, even if Pump panics.
func (in *Inbox) runPump(ctx context.Context) error {
	defer func() {
		in.mu.Lock()
		in.pump = false
		in.tell()
		in.mu.Unlock()
	}()
	return in.cfg.Pump(ctx)
}

// take returns the next message that can be delivered, nil if there is none.
func (in *Inbox) take(update bool) (Message, error) {
	if in.lost > 0 {
		m := Overrun{Lost: in.lost}
		in.lost = 0
		return m, nil
	}
	if !update {
		return tagged(in.queue.pop(), -1), nil
	}
	if in.tags.free() {
		m := in.queue.pop()
		if needsTag(m) {
			m = in.tags.give(m)
		}
		return m, nil
	}
	if m := in.queue.popUntagged(); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("cannot read for update, %d messages wait for a reply: %w", in.cfg.Depth, ErrDepth)
}

// Reply answers the message with this tag, in any order. For a cancelled one it
// is still due, and reaches nobody. ErrInvalidOperation: no such message.
func (in *Inbox) Reply(tag int, data []byte, err error) error {
	m, cancelled, ok := in.release(tag)
	if !ok {
		return fmt.Errorf("cannot reply to tag %d, no message has it: %w", tag, ErrInvalidOperation)
	}
	if err := in.cfg.Reply(Reply{To: m, Data: data, Err: err, Cancelled: cancelled}); err != nil {
		return fmt.Errorf("cannot deliver the reply to tag %d: %w", tag, err)
	}
	return nil
}

// Release frees a tag without a reply: a repeated request has come, under
// another tag, and the running work will answer that one.
func (in *Inbox) Release(tag int) error {
	if _, _, ok := in.release(tag); !ok {
		return fmt.Errorf("cannot release tag %d, no message has it: %w", tag, ErrInvalidOperation)
	}
	return nil
}

func (in *Inbox) release(tag int) (m Message, cancelled, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	m, cancelled, ok = in.tags.release(tag)
	if cancelled {
		// The tag may be given again at once: news of the old one must not be read then.
		in.queue.remove(func(m Message) bool { c, is := m.(Cancelled); return is && c.Tag == tag })
	}
	return m, cancelled, ok
}

// Cancelled reports whether the requester has given up the request with this
// tag (MESSAGESTATUS). ErrInvalidOperation: no message has it.
func (in *Inbox) Cancelled(tag int) (bool, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	cancelled, ok := in.tags.cancelled(tag)
	if !ok {
		return false, fmt.Errorf("cannot tell the status of tag %d, no message has it: %w", tag, ErrInvalidOperation)
	}
	return cancelled, nil
}

// Cancel is the requester's word that it gives a request up. One that was not
// read disappears; for one being processed the reader gets a Cancelled message;
// after its reply nothing happens. It reports whether the request was unread.
func (in *Inbox) Cancel(opener, syncID uint64) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	unread := in.queue.remove(func(m Message) bool {
		r, is := m.(*Request)
		return is && r.Opener == opener && r.SyncID == syncID
	})
	if unread {
		return true
	}
	for _, tag := range in.tags.cancel(opener, syncID) {
		in.queue.push(Cancelled{Tag: tag, Opener: opener, SyncID: syncID}, true)
		in.tell()
	}
	return false
}

// Len returns the number of unread messages.
func (in *Inbox) Len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := in.queue.len()
	if in.lost > 0 {
		n++
	}
	return n
}

// needsTag reports whether somebody waits for an answer to m.
func needsTag(m Message) bool {
	switch m.(type) {
	case *Request, Open:
		return true
	}
	return false
}

// tagged returns m with its tag set, if it has one.
func tagged(m Message, tag int) Message {
	switch m := m.(type) {
	case *Request:
		m.Tag = tag
	case Open:
		m.Tag = tag
		return m
	}
	return m
}

// droppable reports whether a message that nobody had time to read may be
// lost: what it tells can be asked for again.
func droppable(m Message) bool {
	switch m.(type) {
	case Open, Close, ResetSync, Cancelled:
		return false
	}
	_, system := m.(System)
	return system
}
