package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// drillFlags are what a user can choose about a drill.
type drillFlags struct {
	signal     string
	hang, role bool
	times      int
	seed       uint64
	within     time.Duration
	json       bool
}

func newDrill(g *global) *cobra.Command {
	f := drillFlags{signal: "KILL", times: 1, within: restoreWithin}
	cmd := &cobra.Command{
		Use:   "drill NAME",
		Short: "Kill the primary of a pair on purpose, and report the takeover",
		Long: "Kills the primary of a pair while the pair is protected, waits until it is protected again, and reports the phases of the takeover. The\n" +
			"pair serves on. The exit status is 0 only if it was protected again in time. The name ham drills HAM itself.",
		Args:              takes(1, 1, "the NAME of a pair"),
		ValidArgsFunction: g.completePairs,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := f.drill(cmd)
			if err != nil {
				return err
			}
			if d.root, err = g.root(); err != nil {
				return err
			}
			d.Name = args[0]
			return d.run(cmd.OutOrStdout(), &f)
		},
	}
	cmd.Flags().StringVar(&f.signal, "signal", f.signal, "what to kill it with")
	cmd.Flags().BoolVar(&f.hang, "hang", false, "stop it (SIGSTOP), so that it hangs: its backup has to find that out")
	cmd.Flags().BoolVar(&f.role, "switch", false, "exchange the roles as planned, instead of a kill")
	cmd.Flags().IntVar(&f.times, "times", f.times, "how often")
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "of the moments (default: random)")
	cmd.Flags().DurationVar(&f.within, "within", f.within, "how long the pair may take each time to be protected again")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.MarkFlagsMutuallyExclusive("signal", "hang", "switch")
	return cmd
}

// drill checks what was chosen.
func (f *drillFlags) drill(cmd *cobra.Command) (*drill, error) {
	d := &drill{Method: "SIG" + strings.TrimPrefix(strings.ToUpper(f.signal), "SIG"), Seed: f.seed, Drills: []drilled{}, within: f.within}
	switch {
	case f.hang:
		d.Method = "SIGSTOP"
	case f.role:
		d.Method = methodSwitch
	}
	d.signal = unix.SignalNum(d.Method)
	switch {
	case f.times < 1 || f.times > mostKills:
		return nil, usageError{fmt.Errorf("--times %d: want 1 to %d", f.times, mostKills)}
	case f.within <= 0:
		return nil, usageError{fmt.Errorf("--within %v: want more than nothing", f.within)}
	case d.signal == 0 && d.Method != methodSwitch:
		return nil, usageError{fmt.Errorf("--signal %s: there is none of that name", f.signal)}
	case d.signal == unix.SIGTERM || d.signal == unix.SIGINT || d.signal == unix.SIGHUP:
		return nil, usageError{fmt.Errorf("--signal %s stops the pair as a whole: that is pairmon stop", f.signal)}
	}
	if !cmd.Flags().Changed("seed") {
		d.Seed = uint64(rand.Uint32())
	}
	return d, nil
}

const methodSwitch = "switch"

// drill is one call of the verb. Times are in microseconds.
type drill struct {
	Name        string    `json:"name"`
	Method      string    `json:"method"` // the signal, or "switch"
	Seed        uint64    `json:"seed"`
	Drills      []drilled `json:"drills"`
	Unprotected quantiles `json:"unprotected_us"` // from the kill, or the command to switch, until the pair was protected again

	root   string
	signal unix.Signal
	within time.Duration
}

// drilled is one takeover.
type drilled struct {
	PID         int              `json:"pid"` // of the primary before
	Primary     int              `json:"primary"`
	Epoch       uint32           `json:"epoch"`
	Cause       string           `json:"cause,omitempty"`
	Evidence    string           `json:"evidence,omitempty"`
	Phases      map[string]int64 `json:"phases_us,omitempty"` // since the kill; what was not needed is not there
	Unprotected int64            `json:"unprotected_us"`
	steps       []phase
}

func (d *drill) run(w io.Writer, f *drillFlags) error {
	ctx, cancel := untilSignalled()
	defer cancel()
	rng := rand.New(rand.NewPCG(d.Seed, 0))
	var took []time.Duration
	var failure error
	for n := range f.times {
		one, err := d.once(ctx, soonest+time.Duration(rng.Int64N(int64(latest-soonest))))
		if err != nil {
			failure = fmt.Errorf("drill %d of %s: %w", n+1, d.Name, err)
			break
		}
		d.Drills = append(d.Drills, one)
		took = append(took, time.Duration(one.Unprotected)*time.Microsecond)
	}
	d.Unprotected = quantilesOf(took)
	return errors.Join(failure, d.show(w, f.json))
}

// once makes one drill, some time after the pair is protected.
func (d *drill) once(ctx context.Context, after time.Duration) (one drilled, err error) {
	if _, err = d.await(ctx, "the pair is protected", protected); err != nil {
		return one, err
	}
	if err = pause(ctx, after); err != nil {
		return one, err
	}
	before, err := d.await(ctx, "the pair is protected", protected)
	if err != nil {
		return one, err
	}
	began := time.Now()
	if err = d.strike(ctx, &before); err != nil {
		return one, err
	}
	page, err := d.await(ctx, "the pair is protected again", func(p *registry.Page) bool {
		whole := d.Method == methodSwitch || p.LastTakeover != nil && p.LastTakeover.RestoredUS > 0
		return p.Epoch > before.Epoch && protected(p) && whole
	})
	if err != nil {
		return one, err
	}
	one = drilled{PID: before.Primary.PID, Primary: page.Primary.PID, Epoch: page.Epoch, Unprotected: time.Since(began).Microseconds()}
	if d.Method != methodSwitch {
		one.took(began, page.LastTakeover)
	}
	return one, nil
}

// strike does to the primary what the drill is about.
func (d *drill) strike(ctx context.Context, page *registry.Page) error {
	if d.Method == methodSwitch {
		ctx, cancel := context.WithTimeout(ctx, d.within)
		defer cancel()
		return pair.Switch(ctx, d.root, d.Name)
	}
	victim, err := proc.Open(proc.ID{PID: page.Primary.PID, Start: page.Primary.Start})
	if err == nil {
		defer victim.Close()
		err = victim.Signal(d.signal)
	}
	if err != nil {
		return fmt.Errorf("cannot kill the primary: %w", err)
	}
	return nil
}

// took fills in what the new primary has published.
func (one *drilled) took(began time.Time, t *registry.Takeover) {
	one.Cause, one.Evidence, one.Phases = t.Cause, t.Evidence, map[string]int64{}
	one.steps = sinceKill(began, t)
	for _, p := range one.steps {
		if p.at > 0 {
			one.Phases[strings.ReplaceAll(p.name, " ", "_")] = p.at.Microseconds()
		}
	}
	one.Unprotected = one.steps[len(one.steps)-1].at.Microseconds()
}

// await returns the page of the pair as soon as it is good.
func (d *drill) await(ctx context.Context, what string, good func(*registry.Page) bool) (registry.Page, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.within, fmt.Errorf("that took longer than %v", d.within))
	defer cancel()
	for {
		p, err := registry.Read(d.root, d.Name)
		switch {
		case err != nil:
			return p, err
		case good(&p) && lives(p.Primary) && lives(p.Backup):
			return p, nil
		case !lives(p.Primary) && !lives(p.Backup):
			return p, fmt.Errorf("waiting until %s: %w", what, errAllDead)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return p, fmt.Errorf("waiting until %s: %w", what, err)
		}
	}
}

func (d *drill) show(w io.Writer, asJSON bool) error {
	if asJSON {
		b, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("cannot encode the drill: %w", err)
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	}
	if len(d.Drills) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "DRILL\tPRIMARY\tTHEN\tEPOCH\t%s\n", strings.Join(d.columns(), "\t"))
	for i := range d.Drills {
		one := &d.Drills[i]
		fmt.Fprintf(t, "%d\t%d\t%d\t%d", i+1, one.PID, one.Primary, one.Epoch)
		for _, p := range one.steps {
			fmt.Fprintf(t, "\t%s", bare(p.at))
		}
		fmt.Fprintf(t, "\t%s\n", bare(time.Duration(one.Unprotected)*time.Microsecond))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s, %s, seed %d: protected again after %s; times in ms\n", d.Name, d.Method, d.Seed, strings.TrimSpace(d.Unprotected.String()))
	return err
}

// columns names the phases.
func (d *drill) columns() (names []string) {
	for _, p := range d.Drills[0].steps {
		names = append(names, strings.ToUpper(p.name))
	}
	return append(names, "PROTECTED")
}
