package serving

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/load"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// CurvePlan says how the cost is followed along two axes.
type CurvePlan struct {
	Rounds  int             `json:"rounds"`
	Budget  time.Duration   `json:"budget_ns"` // no third or later round is begun after that; 0: no limit
	Slice   time.Duration   `json:"slice_ns"`
	Clients []int           `json:"clients"` // with the least work
	Works   []time.Duration `json:"work_ns"` // with BaseClients
}

// BaseClients is how many clients there are where the work of a request varies.
const BaseClients = 16

// LeastWork is the computing of a request where the number of clients varies.
const LeastWork = time.Microsecond

// LongCurve is for figures to be quoted.
func LongCurve() CurvePlan {
	return CurvePlan{Rounds: 30, Slice: 100 * time.Millisecond, Clients: []int{1, 16, 100, 1000},
		Works: []time.Duration{time.Microsecond, 10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond}}
}

// QuickCurve takes three seconds or so.
func QuickCurve() CurvePlan {
	return CurvePlan{Rounds: 12, Budget: 3 * time.Second, Slice: 15 * time.Millisecond, Clients: []int{1, 16, 1000}, Works: []time.Duration{time.Microsecond, 100 * time.Microsecond, time.Millisecond}}
}

// NoBackup is the name of the service that protects nothing.
const NoBackup = "no backup"

// Point is what was measured with one mode, number of clients, and work.
type Point struct {
	Mode    string           `json:"mode"` // NoBackup, or that of the pair
	Clients int              `json:"clients"`
	Work    time.Duration    `json:"work_ns"`
	Rate    figures.Row      `json:"rate"`               // requests per second, of each round
	Ratio   float64          `json:"ratio_to_no_backup"` // of the rate to that of NoBackup in the same round, median
	Wait    figures.Row      `json:"wait"`
	Raw     figures.Values   `json:"raw_rate"`
	Waits   []figures.Bucket `json:"waits_ns"`

	Primary  figures.Row    `json:"primary_cpu"`            // µs of processor time for one request, of each round
	Backup   figures.Row    `json:"backup_cpu"`             // the same
	CPURatio float64        `json:"cpu_ratio_to_no_backup"` // of both together to that of NoBackup in the same round, median
	RawCPU   figures.Values `json:"raw_cpu_us"`             // of both together

	clients         []load.Client
	waits           *figures.Times
	servers         *servers
	primary, backup figures.Values
}

// Points are all of them.
type Points []*Point

var _ figures.Table = Points(nil)

// Run measures the curve.
func Run(ctx context.Context, w *world.World, plan CurvePlan, progress func(done, all int, what string)) (Points, error) {
	c := &curve{plan: plan, perWork: map[time.Duration]uint64{}}
	for _, work := range append([]time.Duration{LeastWork}, plan.Works...) {
		c.perWork[work] = subject.SpinsPer(work)
	}
	defer c.close()
	for i, mode := range append([]string{NoBackup}, Modes()...) {
		progress(i, len(Modes())+1, "starting "+mode)
		if err := c.start(ctx, w, mode); err != nil {
			return nil, fmt.Errorf("%s: %w", mode, err)
		}
	}
	slices.SortStableFunc(c.points, func(a, b *Point) int { // what is compared takes its turns one after the other
		return cmp.Or(cmp.Compare(a.Work, b.Work), cmp.Compare(a.Clients, b.Clients))
	})
	began := time.Now()
	for round := -1; round < plan.Rounds; round++ { // the first one warms up
		if round > 1 && plan.Budget > 0 && time.Since(began) > plan.Budget {
			break
		}
		for i := range c.points {
			progress((round+1)*len(c.points)+i, (plan.Rounds+1)*len(c.points), "throughput by clients and work")
			p := c.points[(i+round+1)%len(c.points)]
			if err := p.round(ctx, plan.Slice, round < 0); err != nil {
				return nil, fmt.Errorf("%s, %d clients: %w", p.Mode, p.Clients, err)
			}
		}
	}
	return c.points, c.finish()
}

// Modes are the names of all modes of a pair.
func Modes() (all []string) {
	for m := pair.PrimaryComputes; m <= pair.BackupEager; m++ {
		all = append(all, m.String())
	}
	return all
}

// curve is what runs while it is measured.
type curve struct {
	plan    CurvePlan
	perWork map[time.Duration]uint64
	points  Points
	closers []func()
}

func (c *curve) close() {
	for _, f := range slices.Backward(c.closers) {
		f()
	}
}

// start starts the service in one mode, and connects the clients of all its points.
func (c *curve) start(ctx context.Context, w *world.World, mode string) error {
	cfg, name := subject.Config{Alone: mode == NoBackup}, "curve-alone"
	if !cfg.Alone {
		var err error
		if cfg.Mode, err = pair.ParseMode(mode); err != nil {
			return err
		}
		name = "curve-" + mode
	}
	t, err := subject.Start(ctx, w, name, cfg)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, func() { _ = t.Stop(context.WithoutCancel(ctx)) })
	page, err := t.Await(ctx, "there", func(p *registry.Page) bool { return p.Primary != nil })
	if err != nil {
		return err
	}
	processes, err := serversOf(&page)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, func() { _ = processes.close() })
	add := func(n int, work time.Duration) error {
		clients, err := t.Clients(ctx, subject.Requester, n, c.perWork[work])
		if err != nil {
			return err
		}
		release := context.AfterFunc(ctx, clients.Close)
		c.closers = append(c.closers, func() { release(); clients.Close() })
		c.points = append(c.points, &Point{Mode: mode, Clients: n, Work: work, clients: clients.Load, waits: figures.NewTimes(), servers: processes})
		return nil
	}
	for _, n := range c.plan.Clients {
		if err := add(n, LeastWork); err != nil {
			return err
		}
	}
	for _, work := range c.plan.Works {
		if work == LeastWork && slices.Contains(c.plan.Clients, BaseClients) {
			continue // there already
		}
		if err := add(BaseClients, work); err != nil {
			return err
		}
	}
	return nil
}

func (p *Point) round(ctx context.Context, slice time.Duration, warming bool) error {
	if err := p.servers.begin(); err != nil {
		return err
	}
	rate, waits, err := load.Closed(p.clients, slice)
	if err != nil || ctx.Err() != nil || warming {
		return cmp.Or(ctx.Err(), err)
	}
	p.servers.end(p, waits.N())
	p.Raw = append(p.Raw, rate)
	p.waits.Merge(waits)
	return nil
}

func (c *curve) finish() error {
	for _, p := range c.points {
		if err := p.servers.begin(); err != nil {
			return err
		}
	}
	for _, p := range c.points {
		p.finish(c.points)
	}
	return nil
}

// finish computes what follows from the rounds.
func (p *Point) finish(all Points) {
	p.Primary, p.Backup = p.primary.Row("", "µs"), p.backup.Row("", "µs")
	p.Rate, p.Wait, p.Waits = p.Raw.Row("", "req/s"), p.waits.Row(""), p.waits.Buckets()
	for _, q := range all {
		if q.Mode == NoBackup && q.Clients == p.Clients && q.Work == p.Work {
			p.Ratio = figures.Ratios(p.Raw, q.Raw).Median()
			p.CPURatio = figures.Ratios(p.RawCPU, q.RawCPU).Median()
		}
	}
}

// Print prints a table.
func (ps Points) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nclients\twork\treq/s\t/ no backup\tCPU µs primary\tbackup\tboth / no backup\twait p50\tp99, µs\t  \b")
	for _, p := range ps {
		fmt.Fprintf(t, "%d\t%v\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", p.Clients, p.Work, figures.Short(p.Rate.P50), figures.Short(p.Ratio), figures.Short(p.Primary.P50), figures.Short(p.Backup.P50), figures.Short(p.CPURatio),
			figures.Short(p.Wait.P50), figures.Short(p.Wait.P99), p.Mode)
	}
	return t.Flush()
}
