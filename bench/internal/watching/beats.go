package watching

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/hands/beat"
)

// What it costs to see heartbeats: HAM, both its halves, beside a program that does no more than to look at the same words as often.

// pulse is who beats: so many words, each once in a period.
type pulse struct {
	words  int
	period time.Duration
	look   time.Duration // between two looks of the bare watcher: as HAM does it
}

func (p pulse) rate() int { return int(float64(p.words) / p.period.Seconds()) }

func (p pulse) String() string {
	return fmt.Sprintf("%d heartbeats per second of %d entities", p.rate(), p.words)
}

func (p pulse) args() []string {
	return []string{"--words", strconv.Itoa(p.words), "--period", p.period.String(), "--look", p.look.String()}
}

// missable is how long a word may rest before HAM takes note: long, for this machine is kept busy, and what is measured is another thing.
const missable = 5 * time.Second

func measureBeats(ctx context.Context, w *world.World, r *figures.Report, p plan) error {
	for _, pulse := range []pulse{{p.Words, 10 * time.Millisecond, 5 * time.Millisecond}, {p.Entities, time.Second, 320 * time.Millisecond}} {
		if err := measurePulse(ctx, w, r, p, pulse); err != nil {
			return fmt.Errorf("%v: %w", pulse, err)
		}
	}
	return nil
}

func measurePulse(ctx context.Context, w *world.World, r *figures.Report, plan plan, p pulse) (err error) {
	h, err := startHAM(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop(ctx)) }()
	heart, err := w.SpawnAndHear(ctx, nil, "beat", p.args()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(ctx, heart)) }()
	bare, err := w.SpawnAndHear(ctx, nil, "look", append(p.args(), "--pid", strconv.Itoa(heart.ID().PID))...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(ctx, bare)) }()
	ps, err := h.halves(ctx)
	if err != nil {
		return err
	}
	defer ps.close()
	// At first each has a mark at a time of its own; later those that are seen in one look have theirs together.
	world.Pause(ctx, 2*plan.Rest)
	loads, err := inTurns(ctx, plan.Idle, ps, processes{bare})
	if err != nil {
		return err
	}
	if err := h.seen(ctx, p); err != nil {
		return err
	}
	r.AtMost(p.String()+": processor time of HAM and its guardian", loads[0], 5, "% of a core")
	r.Figure(p.String()+": of a program that only looks", loads[1], "% of a core")
	return nil
}

// seen waits until HAM has seen beats, and makes sure that none counts as missed.
func (h *hamUnderTest) seen(ctx context.Context, p pulse) error {
	ctx, cancel := context.WithTimeout(ctx, missable)
	defer cancel()
	for _, i := range []int{0, p.words - 1} {
		for {
			e, last, err := h.client.Entity(ctx, heartName(i))
			if err != nil {
				return fmt.Errorf("HAM sees no beats of %s: %w", heartName(i), err)
			}
			if e.Pulse.Missed > 0 {
				return fmt.Errorf("%s has missed heartbeats: the machine is too busy to measure anything", e.Name)
			}
			if !last.IsZero() {
				break
			}
			world.Pause(ctx, settling)
		}
	}
	return nil
}

func heartName(i int) string { return "heart-" + strconv.Itoa(i) }

// beatProcess attaches itself to HAM under many names, and beats under each.
func beatProcess() *cobra.Command {
	var p pulse
	c := &cobra.Command{Use: "beat", RunE: func(*cobra.Command, []string) error {
		ctx := context.Background()
		client, err := ham.Dial(ctx)
		if err != nil {
			return err
		}
		hearts := make([]atomic.Pointer[ham.Self], p.words)
		go p.spread(func(i int) { // from the first on, while the others are attached
			if heart := hearts[i].Load(); heart != nil {
				heart.Beat()
			}
		})
		err = inParallel(ctx, len(hearts), func(ctx context.Context, i int) error {
			heart, err := client.AttachSelf(ctx, ham.Attach{Entity: heartName(i),
				Heartbeat: &ham.Heartbeat{Period: p.period, High: int(missable / p.period)}})
			hearts[i].Store(heart)
			return err
		})
		if err == nil {
			err = world.Ready(3)
		}
		if err != nil {
			return err
		}
		select {} // until it is killed
	}}
	p.flags(c)
	return c
}

func (p *pulse) flags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&p.words, "words", 0, "")
	f.DurationVar(&p.period, "period", 0, "")
	f.DurationVar(&p.look, "look", 0, "")
}

// spread calls beat for every word, once in each period, spread over the period in steps of 10 ms.
func (p *pulse) spread(beat func(i int)) {
	const step = 10 * time.Millisecond
	steps := int(p.period / step)
	i := 0
	for range time.Tick(step) {
		for range (p.words + steps - 1) / steps {
			beat(i % p.words)
			i++
		}
	}
}

// lookProcess looks at the words of another process.
func lookProcess() *cobra.Command {
	var p pulse
	var pid int
	c := &cobra.Command{Use: "look", RunE: func(*cobra.Command, []string) error {
		views, err := beat.Find(pid)
		if err != nil {
			return err
		}
		last, words := make([]uint64, p.words), make([]*uint64, p.words)
		for i := range words {
			for _, v := range views {
				if words[i] == nil {
					words[i] = v.Word(heartName(i))
				}
			}
			if words[i] == nil {
				return fmt.Errorf("process %d does not beat for %s", pid, heartName(i))
			}
		}
		if err := world.Ready(3); err != nil {
			return err
		}
		moved := 0
		for range time.Tick(p.look) {
			for i, w := range words {
				if now := atomic.LoadUint64(w); now != last[i] {
					last[i] = now
					moved++
				}
			}
		}
		return nil
	}}
	p.flags(c)
	c.Flags().IntVar(&pid, "pid", 0, "")
	return c
}
