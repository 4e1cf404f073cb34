package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// options are those of every verb.
type options struct {
	JSON  bool   `json:"-"`
	Quick bool   `json:"quick"`
	Seed  uint64 `json:"seed"`
	Pprof string `json:"pprof,omitempty"`
}

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	o := &options{}
	root := &cobra.Command{Use: "bench VERB", Short: "Measure Tandem, as ratios taken side by side",
		SilenceUsage: true, SilenceErrors: true}
	f := root.PersistentFlags()
	f.BoolVar(&o.JSON, "json", false, "print one JSON object instead of tables")
	f.BoolVar(&o.Quick, "quick", false, "few and short rounds: shows that everything works, and little more")
	f.Uint64Var(&o.Seed, "seed", 1, "of the order of rounds and the moments of faults")
	f.StringVar(&o.Pprof, "pprof", "", "directory for processor profiles of every process")
	root.AddCommand(checkpointCommand(o), serveCommand(o), takeoverCommand(o), surviveCommand(o), processCommand())
	return root
}

// measure runs one verb: in a world of its own, until it is done or interrupted, and prints its report.
func measure(o *options, verb string, extra any, f func(ctx context.Context, w *world, r *report) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	r := newReport(verb, o, extra)
	began := readProcessorTime()
	err = profiled(o.Pprof, "bench", func() error { return f(ctx, w, r) })
	r.Stolen, r.Load = began.stolenSince(), loadAverage()
	if ctx.Err() != nil { // what the processes say then is no news
		return errors.Join(fmt.Errorf("interrupted: %w", ctx.Err()), w.close(nil))
	}
	if err := w.close(err); err != nil {
		return err
	}
	return r.print(os.Stdout, o.JSON)
}

// profiled runs f and leaves a processor profile of it in dir, if that is not "".
func profiled(dir, name string, f func() error) error {
	if dir == "" {
		return f()
	}
	out, err := os.Create(dir + "/" + name + "-" + strconv.Itoa(os.Getpid()) + ".pprof")
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}
