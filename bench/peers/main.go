package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// options are those of a run.
type options struct {
	JSON  bool     `json:"-"`
	Quick bool     `json:"quick"`
	Seed  uint64   `json:"seed"`
	Only  []string `json:"only,omitempty"`
	Kills int      `json:"kills"` // of each contestant that does not take seconds
}

func main() {
	err := error(nil)
	if len(os.Args) > 1 && os.Args[1] == processVerb {
		err = runProcess(os.Args[2:])
	} else {
		err = bench(os.Args[1:])
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// bench is the run that a user asks for.
func bench(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	r := newReport(o)
	if err := measure(ctx, o, r); err != nil {
		return err
	}
	return errors.Join(r.print(os.Stdout, o.JSON), r.failure())
}

const (
	manyKills  = 20
	quickKills = 4
	slowKills  = 5 // at most, of those that take seconds
)

// parse reads the flags.
func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.BoolVar(&o.JSON, "json", false, "print one JSON object, with every sample, instead of tables")
	f.BoolVar(&o.Quick, "quick", false, "few kills and short rounds: shows that everything works, and little more")
	f.Uint64Var(&o.Seed, "seed", 1, "of the order of turns and the moments of kills")
	only := f.String("only", "", "names of those that take part, separated by commas: of "+strings.Join(names(), ", "))
	f.IntVar(&o.Kills, "kills", 0, fmt.Sprintf("kills of each contestant; of one that takes seconds at most %d (default %d, with --quick %d)", slowKills, manyKills, quickKills))
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("cannot use %q: expected flags only", f.Args())
	case o.Kills < 0:
		return nil, fmt.Errorf("cannot make %d kills", o.Kills)
	case o.Kills == 0 && o.Quick:
		o.Kills = quickKills
	case o.Kills == 0:
		o.Kills = manyKills
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	return o, o.checkNames()
}

// checkNames refuses names that nobody has.
func (o *options) checkNames() error {
	known := names()
	for _, name := range o.Only {
		if !slices.Contains(known, name) {
			return fmt.Errorf("nobody is called %q: expected one of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// names lists everybody, without repetition.
func names() (all []string) {
	for _, e := range entries() {
		all = append(all, e.name)
	}
	for _, e := range replicas() {
		if !slices.Contains(all, e.name) {
			all = append(all, e.name)
		}
	}
	return all
}

func (o *options) takesPart(name string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, name)
}

// quota is how often a contestant is killed.
func (o *options) quota(e entry) int {
	switch {
	case e.slow == 0:
		return o.Kills
	case o.Quick:
		return min(o.Kills, e.slow)
	}
	return min(o.Kills, slowKills)
}
