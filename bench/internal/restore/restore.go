package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/load"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// Plan says how much is measured.
type Plan struct {
	States   []int `json:"state_mib"` // that a new backup is filled with
	Fillings int   `json:"fillings"`  // of each
	Rate     int   `json:"rate"`      // requests per second while it is filled
}

// Point is what was measured with one size of the state. Times are in milliseconds.
type Point struct {
	StateMiB int              `json:"state_mib"`
	NotRun   string           `json:"not_run,omitempty"`
	Took     figures.Row      `json:"took_ms"`      // from the end of the old backup to the synchronised new one
	With     figures.Row      `json:"longest_ms"`   // the longest wait of each filling
	Without  figures.Row      `json:"longest_calm"` // the longest wait in as long a time without
	Raw      figures.Values   `json:"raw_took_ms"`
	Waits    []figures.Bucket `json:"waits_ns"`      // of all requests while a backup was filled
	Calm     []figures.Bucket `json:"waits_calm_ns"` // of all requests in as long a time without
}

// callers is how many requests may be under way.
const callers = 64

// needMiB is the memory that a pair with so much state takes: two members, and what Go's collector leaves lying about in each.
func needMiB(state int) int { return 4*state + 64 }

// Run measures all sizes. p may be told of the progress.
func Run(ctx context.Context, w *world.World, r *figures.Report, plan Plan, progress func(done, all int, what string)) (Points, error) {
	var points Points
	for i, mib := range plan.States {
		progress(i, len(plan.States), fmt.Sprintf("a backup is filled with %d MiB", mib))
		p, err := one(ctx, w, r, mib, plan)
		if err != nil {
			return points, fmt.Errorf("state of %d MiB: %w", mib, err)
		}
		points = append(points, p)
	}
	return points, nil
}

// one replaces the backup of a pair with much state, again and again, under load.
func one(ctx context.Context, w *world.World, r *figures.Report, mib int, plan Plan) (Point, error) {
	p := Point{StateMiB: mib}
	if p.NotRun = world.NoRoom(needMiB(mib)); p.NotRun != "" {
		r.Note("state of %d MiB %s", mib, p.NotRun)
		return p, nil
	}
	t, err := subject.Start(ctx, w, fmt.Sprintf("filled-%d", mib), subject.Config{})
	if err != nil {
		return p, err
	}
	defer t.Stop(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { _ = t.Conn.Close() })()
	if err := t.Load(ctx, mib); err != nil {
		return p, err
	}
	f := &filling{t: t, cfg: load.Config{Rate: float64(plan.Rate), Clients: shared(t)}}
	with, without := newLoads(), newLoads()
	var when figures.Values
	for range plan.Fillings {
		took, l, err := f.fill(ctx)
		if err != nil {
			return p, err
		}
		p.Raw = append(p.Raw, float64(took)/1e6)
		when = append(when, float64(l.Worst.Intended-f.struck.Sub(l.Began))/1e6)
		with.add(l)
		if l, err = f.calm(ctx, took); err != nil {
			return p, err
		}
		without.add(l)
	}
	p.Took, p.With, p.Without = p.Raw.Row("", "ms"), with.longest.Row("", "ms"), without.longest.Row("", "ms")
	p.Waits, p.Calm = with.waits.Buckets(), without.waits.Buckets()
	r.Row(p.Raw.Row(fmt.Sprintf("from the end of the old backup to the synchronised new one, %d MiB", mib), "ms"))
	r.Row(when.Row(fmt.Sprintf("from the end of the old backup to when the longest wait began, %d MiB", mib), "ms"))
	with.report(r, fmt.Sprintf("while a backup is filled with %d MiB", mib))
	without.report(r, fmt.Sprintf("under the same load without filling, %d MiB", mib))
	return p, nil
}

// Goal prints what is promised of one size.
func (p *Point) Goal(r *figures.Report) {
	if p.NotRun != "" {
		return
	}
	beyond := p.With.P50 - p.Without.P50
	r.AtMost("longest wait while a backup is filled, beyond the longest in as long a time without (medians of fillings)", beyond, 2, "ms")
	r.Figure("longest wait while a backup is filled (median of fillings)", p.With.P50, "ms")
	r.Figure("longest wait in as long a time without (median)", p.Without.P50, "ms")
}

// shared is many callers of one connection.
func shared(t *subject.Pair) []load.Client {
	all := make([]load.Client, callers)
	for i := range all {
		all[i] = caller{t}
	}
	return all
}

type caller struct{ t *subject.Pair }

var _ load.Client = caller{}

// Do makes an ordinary request.
func (c caller) Do(int) (uint64, error) { return c.t.Put() }

// loads is the sum of several runs of load.
type loads struct {
	waits, late *figures.Times
	longest     figures.Values // wait of each run, in ms
}

func newLoads() *loads { return &loads{waits: figures.NewTimes(), late: figures.NewTimes()} }

func (s *loads) add(l *load.Result) {
	s.waits.Merge(l.Waits)
	s.late.Merge(l.Late)
	s.longest = append(s.longest, float64(l.Waits.Max())/1e6)
}

func (s *loads) report(r *figures.Report, when string) {
	r.Row(s.waits.Row("wait "+when), s.late.Row("lateness of the client itself "+when), s.longest.Row("longest wait of each time "+when, "ms"))
}

// filling is one pair, filled again and again.
type filling struct {
	t      *subject.Pair
	cfg    load.Config
	struck time.Time
}

// fill kills the backup and makes requests until there is a new one.
func (f *filling) fill(ctx context.Context) (took time.Duration, l *load.Result, err error) {
	p, err := f.t.Await(ctx, "protected", subject.Protected)
	if err != nil {
		return 0, nil, err
	}
	old, err := subject.Member(p.Backup)
	if err != nil {
		return 0, nil, err
	}
	defer old.Close()
	stop := make(chan struct{})
	var failed error
	go func() {
		defer close(stop)
		world.Pause(ctx, 20*time.Millisecond)
		f.struck = time.Now()
		if failed = old.Signal(unix.SIGKILL); failed != nil {
			return
		}
		// Looked for rarely: the same load without filling does not look at all.
		_, failed = f.t.World.AwaitPage(ctx, f.t.Name, 20*time.Millisecond, world.StartWithin, "protected again", func(p *registry.Page) bool {
			return subject.Protected(p) && p.Backup.PID != old.ID().PID
		})
		took = time.Since(f.struck)
	}()
	l, err = load.Run(ctx, f.cfg, stop)
	<-stop
	if err == nil && l.Errors > 0 {
		err = l.Err
	}
	return took, l, errors.Join(err, failed)
}

// calm makes requests for as long.
func (f *filling) calm(ctx context.Context, d time.Duration) (*load.Result, error) {
	stop := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(stop) })
	defer timer.Stop()
	l, err := load.Run(ctx, f.cfg, stop)
	if err == nil && l.Errors > 0 {
		err = l.Err
	}
	return l, err
}
