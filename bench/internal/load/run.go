package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

// Client makes one request at a time.
type Client interface {
	// Do makes request number n and waits for its reply. who is any number that is another one after a change of roles, 0 if
	// the connection does not tell.
	Do(n int) (who uint64, err error)
}

// Config says what load there is to be.
type Config struct {
	Rate    float64  // requests per second, of all clients together
	Clients []Client // request i is made by client i modulo their number

	Sleep func(time.Duration) // default: in the kernel, for Go's own timers are a millisecond late
}

// Reply is what became of one request. Times are since the beginning of the run.
type Reply struct {
	Intended, Done time.Duration
	Who            uint64
	Err            error
}

// Wait is what the client felt.
func (r *Reply) Wait() time.Duration { return r.Done - r.Intended }

// Result is what became of all of them.
type Result struct {
	Began   time.Time
	Replies []Reply        // in no particular order
	Waits   *figures.Times // of all requests that got a reply
	Late    *figures.Times // of the load itself: from when it should have woken up to when it did
	Worst   Reply          // the longest wait
	Errors  int
	Err     error // one of them
}

// Run makes requests until stop is closed or ctx ends, and returns when every request has its reply or error.
func Run(ctx context.Context, cfg Config, stop <-chan struct{}) (*Result, error) {
	if len(cfg.Clients) == 0 || !(cfg.Rate > 0) {
		return nil, fmt.Errorf("cannot make load: %d clients, %v requests per second: expected more than none", len(cfg.Clients), cfg.Rate)
	}
	if cfg.Sleep == nil {
		cfg.Sleep = kernelSleep
	}
	r := &Result{Began: time.Now(), Waits: figures.NewTimes(), Late: figures.NewTimes()}
	lanes := make([]*lane, len(cfg.Clients))
	var wg sync.WaitGroup
	for i, c := range cfg.Clients {
		lanes[i] = &lane{todo: make(chan int, max(laneLeast, laneAll/len(lanes)))}
		wg.Go(func() { lanes[i].run(&cfg, c, r.Began) })
	}
	r.pace(ctx, &cfg, lanes, stop)
	for _, l := range lanes {
		close(l.todo)
	}
	wg.Wait()
	for _, l := range lanes {
		r.take(l)
	}
	return r, ctx.Err()
}

// How many requests may wait for their client: of one, and of all together. What does not fit is handed out later; when it was
// intended does not depend on that.
const (
	laneLeast = 16
	laneAll   = 1 << 16
)

// Intended is when a request is to be sent, since the beginning.
func (c *Config) Intended(n int) time.Duration {
	return time.Duration(float64(n) / c.Rate * float64(time.Second))
}

// pace hands every request to its client when its time has come, and all that it is late with at once.
func (r *Result) pace(ctx context.Context, cfg *Config, lanes []*lane, stop <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for n := 0; ; n++ {
		intended := cfg.Intended(n)
		if left := intended - time.Since(r.Began); left > 0 {
			cfg.Sleep(left)
			r.Late.Add(time.Since(r.Began) - intended)
		}
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		select {
		case lanes[n%len(lanes)].todo <- n:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

func kernelSleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}

// lane is what one client does. It keeps what there is to know in the cheapest way: there may be a thousand of them.
type lane struct {
	todo    chan int
	replies []Reply
}

func (l *lane) run(cfg *Config, c Client, began time.Time) {
	for n := range l.todo {
		who, err := c.Do(n)
		l.replies = append(l.replies, Reply{Intended: cfg.Intended(n), Done: time.Since(began), Who: who, Err: err})
	}
}

func (r *Result) take(l *lane) {
	r.Replies = append(r.Replies, l.replies...)
	for i := range l.replies {
		p := &l.replies[i]
		if p.Err != nil {
			r.Errors++
			r.Err = p.Err
			continue
		}
		r.Waits.Add(p.Wait())
		if p.Wait() > r.Worst.Wait() {
			r.Worst = *p
		}
	}
}
