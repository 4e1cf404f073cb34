package drill

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Load is what a client saw around one fault.
type Load struct {
	Requests int           `json:"requests"`   // that were to be sent
	Before   int           `json:"before"`     // answered before the fault
	Failed   int           `json:"failed"`     // ended with an error
	Error    string        `json:"error"`      // the first of these
	Void     bool          `json:"void"`       // there was too little traffic before the fault to tell anything
	Usual    time.Duration `json:"usual_ns"`   // what a request waited before the fault: the median
	Silence  time.Duration `json:"silence_ns"` // the longest time without an answer, that began or went on after the fault
	Longest  time.Duration `json:"longest_ns"` // the longest that one request waited, from the time at which it was to be sent
	Affected int           `json:"affected"`   // requests that waited ten times as long as usual, or longer
	Waits    []int64       `json:"-"`          // how long each request waited, in nanoseconds, in the order of their times
	Sent     []int64       `json:"-"`          // when each was to be sent, in nanoseconds since the fault
}

const (
	leastBefore = 50                    // answers before a fault, or it is void
	leastRunUp  = 20 * time.Millisecond // of load before a fault, and after it
)

// runUp is how long the load runs before a fault, at least.
func (c *Config) runUp() time.Duration {
	if c.Call == nil {
		return leastRunUp
	}
	return max(leastRunUp, 2*leastBefore*time.Second/time.Duration(c.Rate))
}

// load is requests at their times.
type load struct {
	c       *Config
	begin   time.Time
	fault   atomic.Int64 // nanoseconds since begin
	next    atomic.Int64 // number of the next request
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu    sync.Mutex
	all   []request
	first error
}

// request is one of them: when it was to be sent and when it ended, in nanoseconds since the beginning.
type request struct {
	sent, ended int64
	failed      bool
}

func (c *Config) startLoad(ctx context.Context) *load {
	l := &load{c: c, begin: time.Now()}
	ctx, l.cancel = context.WithCancel(ctx)
	if c.Call == nil {
		return l
	}
	for range c.Clients {
		l.clients.Go(func() { l.client(ctx) })
	}
	return l
}

// client sends the next request whose time has come, again and again. Those that are late because all clients wait for answers
// are sent as soon as one is free, and count from their time.
func (l *load) client(ctx context.Context) {
	between := time.Second / time.Duration(l.c.Rate)
	for {
		r := request{sent: (l.next.Add(1) - 1) * int64(between)}
		if pause(ctx, time.Until(l.begin.Add(time.Duration(r.sent)))) != nil {
			return
		}
		err := l.c.Call(ctx)
		if ctx.Err() != nil {
			return
		}
		r.ended, r.failed = int64(time.Since(l.begin)), err != nil
		l.mu.Lock()
		l.all = append(l.all, r)
		if err != nil && l.first == nil {
			l.first = err
		}
		l.mu.Unlock()
	}
}

// mark notes that the fault comes now.
func (l *load) mark() { l.fault.Store(int64(time.Since(l.begin))) }

// stop ends the load. Requests under way are given up: they are not part of the result.
func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}

// result ends the load and works out what it saw.
func (l *load) result() *Load {
	l.stop()
	res := judge(l.all, l.fault.Load())
	if l.first != nil {
		res.Error = l.first.Error()
	}
	return res
}

// judge works out what requests saw of a fault at some time.
func judge(all []request, fault int64) *Load {
	res := &Load{Requests: len(all)}
	slices.SortFunc(all, func(a, b request) int { return int(a.ended - b.ended) })
	var usual []int64
	last := int64(0) // when there was an answer last
	for _, r := range all {
		switch {
		case r.failed:
			res.Failed++
			continue
		case r.ended <= fault:
			res.Before++
			usual = append(usual, r.ended-r.sent)
		default:
			res.Silence = max(res.Silence, time.Duration(r.ended-last))
			res.Longest = max(res.Longest, time.Duration(r.ended-r.sent))
		}
		last = r.ended
	}
	res.Void = res.Before < leastBefore
	if len(usual) > 0 {
		slices.Sort(usual)
		res.Usual = time.Duration(usual[len(usual)/2])
	}
	slices.SortFunc(all, func(a, b request) int { return int(a.sent - b.sent) })
	for _, r := range all {
		res.Waits, res.Sent = append(res.Waits, r.ended-r.sent), append(res.Sent, r.sent-fault)
		if !r.failed && r.ended > fault && time.Duration(r.ended-r.sent) >= 10*res.Usual {
			res.Affected++
		}
	}
	return res
}
