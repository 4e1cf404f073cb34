package hands

import "sync"

// lanes perform what has the same name, that of an entity, in the order in which it was asked for, and the rest at once.
type lanes struct {
	h      *Hands
	mu     sync.Mutex
	queues map[string][]func() // what waits behind a call that is under way; no key: nothing is
}

// do calls f after everything that was asked for it before.
func (l *lanes) do(name string, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue, busy := l.queues[name]
	if busy {
		l.queues[name] = append(queue, f)
		return
	}
	if l.queues == nil {
		l.queues = map[string][]func(){}
	}
	l.queues[name] = nil
	if !l.h.go_(func() { l.run(name, f) }) {
		delete(l.queues, name)
	}
}

// run calls f and all that has been queued meanwhile.
func (l *lanes) run(name string, f func()) {
	for f != nil && (l.h.ctx.Err() == nil || name == logLane) {
		f()
		f = l.next(name)
	}
}

func (l *lanes) next(name string) (f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queues[name]
	if len(queue) == 0 {
		delete(l.queues, name)
		return nil
	}
	f, l.queues[name] = queue[0], queue[1:]
	return f
}

// ended makes what has been done in lanes that are empty known to the caller, though others may be left behind.
func (l *lanes) ended() {
	l.mu.Lock()
	defer l.mu.Unlock()
}
