package receive

import "math/bits"

// queue holds unread messages: the early ones, then the rest in lanes, one for
// each priority or a single one.
type queue struct {
	early     lane
	lanes     []lane
	busy      [4]uint64 // which lanes have messages
	droppable int       // how many of the messages may be dropped
}

func newQueue(priority bool) queue {
	if priority {
		return queue{lanes: make([]lane, 256)}
	}
	return queue{lanes: make([]lane, 1)}
}

// push adds a message. In priority order everything that is not a request goes
// with the most urgent requests.
func (q *queue) push(m Message, early bool) {
	if droppable(m) {
		q.droppable++
	}
	if early {
		q.early.push(m)
		return
	}
	n := len(q.lanes) - 1
	if r, ok := m.(*Request); ok && n > 0 {
		n = int(r.Priority)
	}
	q.lanes[n].push(m)
	q.busy[n/64] |= 1 << (n % 64)
}

// pop takes the next message, nil if there is none.
func (q *queue) pop() Message {
	return q.popFrom(q.first())
}

func (q *queue) popFrom(l *lane) Message {
	if l == nil {
		return nil
	}
	return q.took(l.pop())
}

// first returns the lane whose turn it is, nil if all are empty.
func (q *queue) first() *lane {
	if q.early.len() > 0 {
		return &q.early
	}
	for w := len(q.busy) - 1; w >= 0; w-- {
		for q.busy[w] != 0 {
			n := w*64 + bits.Len64(q.busy[w]) - 1
			if l := &q.lanes[n]; l.len() > 0 {
				return l
			}
			q.busy[w] &^= 1 << (n % 64)
		}
	}
	return nil
}

// popUntagged takes the first message that waits for no answer.
func (q *queue) popUntagged() Message {
	return q.took(q.extract(func(m Message) bool { return !needsTag(m) }))
}

// remove drops the first message for which match is true.
func (q *queue) remove(match func(Message) bool) bool {
	return q.took(q.extract(match)) != nil
}

func (q *queue) took(m Message) Message {
	if m != nil && droppable(m) {
		q.droppable--
	}
	return m
}

func (q *queue) extract(match func(Message) bool) Message {
	if m := q.early.extract(match); m != nil {
		return m
	}
	for n := len(q.lanes) - 1; n >= 0; n-- {
		if m := q.lanes[n].extract(match); m != nil {
			return m
		}
	}
	return nil
}

func (q *queue) len() int {
	n := q.early.len()
	for i := range q.lanes {
		n += q.lanes[i].len()
	}
	return n
}

// lane is a first-in first-out queue which reuses its space.
type lane struct {
	items []Message
	head  int
}

func (l *lane) len() int { return len(l.items) - l.head }

func (l *lane) push(m Message) {
	if l.head > 0 && len(l.items) == cap(l.items) && l.head >= len(l.items)/2 {
		n := copy(l.items, l.items[l.head:])
		clear(l.items[n:])
		l.items, l.head = l.items[:n], 0
	}
	l.items = append(l.items, m)
}

func (l *lane) pop() Message {
	m := l.items[l.head]
	l.items[l.head] = nil
	l.head++
	if l.head == len(l.items) {
		l.items, l.head = l.items[:0], 0
	}
	return m
}

func (l *lane) extract(match func(Message) bool) Message {
	for i := l.head; i < len(l.items); i++ {
		if m := l.items[i]; match(m) {
			copy(l.items[l.head+1:i+1], l.items[l.head:i])
			l.items[l.head] = m
			return l.pop()
		}
	}
	return nil
}

// tags are the messages that were read and not answered. A tag is a number
// below depth which is not in use at the moment.
type tags struct {
	depth int
	held  []held
	spare []int // released tags
}

type held struct {
	m         Message // nil: the tag is free
	cancelled bool
}

func (t *tags) free() bool { return len(t.spare) > 0 || len(t.held) < t.depth }

// give returns m with a tag of its own.
func (t *tags) give(m Message) Message {
	tag := len(t.held)
	if n := len(t.spare); n > 0 {
		tag, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		t.held = append(t.held, held{})
	}
	m = tagged(m, tag)
	t.held[tag] = held{m: m}
	return m
}

func (t *tags) release(tag int) (m Message, cancelled, ok bool) {
	if tag < 0 || tag >= len(t.held) || t.held[tag].m == nil {
		return nil, false, false
	}
	h := t.held[tag]
	t.held[tag] = held{}
	t.spare = append(t.spare, tag)
	return h.m, h.cancelled, true
}

func (t *tags) cancelled(tag int) (cancelled, ok bool) {
	if tag < 0 || tag >= len(t.held) || t.held[tag].m == nil {
		return false, false
	}
	return t.held[tag].cancelled, true
}

// cancel marks the requests with this ID and returns the tags of those that
// were not marked before; a repeated request may hold two.
func (t *tags) cancel(opener, syncID uint64) (marked []int) {
	for tag := range t.held {
		h := &t.held[tag]
		if r, ok := h.m.(*Request); ok && r.Opener == opener && r.SyncID == syncID && !h.cancelled {
			h.cancelled = true
			marked = append(marked, tag)
		}
	}
	return marked
}
