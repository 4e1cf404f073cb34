package main

import (
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

	harm "github.com/1fb4ed1c/tandem/drill"
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
	fault := harm.Kill
	switch d.signal {
	case 0:
		fault = harm.Switch
	case unix.SIGSTOP:
		fault = harm.Freeze
	}
	outcomes, failure := harm.Config{Dir: d.root, Name: d.Name, Faults: []harm.Fault{fault}, Signal: d.signal, Times: f.times, Within: d.within, Seed: d.Seed}.Run(ctx)
	var took []time.Duration
	for _, o := range outcomes {
		d.Drills = append(d.Drills, drilledOf(&o))
		took = append(took, o.Took)
	}
	d.Unprotected = quantilesOf(took)
	return errors.Join(failure, d.show(w, f.json))
}

// drilledOf is what is shown of an outcome.
func drilledOf(o *harm.Outcome) drilled {
	one := drilled{PID: o.PID, Primary: o.Primary, Epoch: o.Epoch, Cause: o.Cause, Evidence: o.Evidence, Unprotected: o.Took.Microseconds()}
	p := &o.Phases
	if p.Restored == 0 {
		return one
	}
	one.Phases = map[string]int64{}
	one.steps = []phase{{"noticed", p.Noticed}, {"sealed", p.Sealed}, {"drained", p.Drained}, {"serving", p.Serving}, {"first reply", p.FirstReply},
		{"fenced", p.Fenced}, {"restored", p.Restored}}
	for _, step := range one.steps {
		if step.at > 0 {
			one.Phases[strings.ReplaceAll(step.name, " ", "_")] = step.at.Microseconds()
		}
	}
	return one
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
