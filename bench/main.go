package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/handover"
	"github.com/1fb4ed1c/tandem/bench/internal/reporting"
	"github.com/1fb4ed1c/tandem/bench/internal/restore"
	"github.com/1fb4ed1c/tandem/bench/internal/serving"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/survive"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
	"github.com/1fb4ed1c/tandem/bench/internal/watching"
	"github.com/1fb4ed1c/tandem/ham/daemon"
)

func main() {
	daemon.Main() // HAM runs in processes of its own, which are this program too
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	o := &figures.Options{}
	root := &cobra.Command{Use: "bench VERB", Short: "Measure Tandem, as ratios taken side by side",
		SilenceUsage: true, SilenceErrors: true}
	f := root.PersistentFlags()
	f.BoolVar(&o.JSON, "json", false, "print one JSON object instead of tables")
	f.BoolVar(&o.Quick, "quick", false, "few and short rounds, less than 30 s: shows that everything works, and little more")
	f.Uint64Var(&o.Seed, "seed", 1, "of the order of cells and rounds, the moments of faults, and the keys")
	f.StringVar(&o.Pprof, "pprof", "", "directory for processor profiles of every process")
	root.AddCommand(verbs(o)...)
	root.AddCommand(processCommand())
	return root
}

// verbs is the place to add one.
func verbs(o *figures.Options) []*cobra.Command {
	return []*cobra.Command{
		handover.Command(o), // checkpoint
		serving.Command(o),  // serve
		takeover.Command(o),
		restore.Command(o),
		survive.Command(o),
		reporting.Command(o),
		watching.Command(o), // ham
	}
}

// processCommand is what the processes of a run are started with.
func processCommand() *cobra.Command {
	c := &cobra.Command{Use: "process", Hidden: true}
	profile := c.PersistentFlags().String("pprof", "", "")
	c.AddCommand(subject.ServiceProcess(profile), subject.BareProcess(), serving.EchoProcess(profile), handover.DrainProcess(), survive.AppendProcess(profile))
	c.AddCommand(watching.Processes(profile)...)
	return c
}
