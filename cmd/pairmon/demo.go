package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/spf13/cobra"
)

// demoFlags are what a user can choose about a demo.
type demoFlags struct {
	kills, clients int
	seed           uint64
	json           bool
}

const (
	mostKills   = 100_000
	mostClients = 1000 // each has a thread of its own in the kernel
)

func newDemo(g *global) *cobra.Command {
	f := demoFlags{kills: 10, clients: 4}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Kill the primary of a bank under load, again and again, and look for what is lost",
		Long: "Starts a bank as a process pair, and customers who keep their own books. Kills the primary with SIGKILL, at\n" +
			"random moments under load, as soon as the pair is protected again. Every reply is compared with the customer's\n" +
			"own books. The exit status is 0 only if all kills were made and nothing was lost and nothing done twice.",
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case g.dir != "":
				return usageError{fmt.Errorf("demo runs in a private directory of its own: --dir has no meaning for it")}
			case f.kills < 1 || f.kills > mostKills:
				return usageError{fmt.Errorf("--kills %d: want 1 to %d", f.kills, mostKills)}
			case f.clients < 1 || f.clients > mostClients:
				return usageError{fmt.Errorf("--clients %d: want 1 to %d", f.clients, mostClients)}
			}
			if !cmd.Flags().Changed("seed") {
				f.seed = uint64(rand.Uint32())
			}
			return demonstrate(f, cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&f.kills, "kills", f.kills, "how often to kill the primary")
	cmd.Flags().IntVar(&f.clients, "clients", f.clients, "how many customers work at the same time")
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "of what customers do and when the primary is killed (default: random)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the verdict as one JSON object; progress goes to stderr")
	return cmd
}

// demonstrate runs a demo and shows its verdict.
func demonstrate(f demoFlags, out io.Writer) error {
	ctx, cancel := untilSignalled()
	defer cancel()
	progress := os.Stdout
	if f.json {
		progress = os.Stderr
	}
	v := runDemo(ctx, f, newScreen(progress))
	if err := v.show(out, f.json); err != nil {
		return err
	}
	switch {
	case v.ok():
		return nil
	case ctx.Err() != nil:
		return exit{exitInterrupted}
	}
	return exit{exitFailed}
}

func (v *verdict) show(out io.Writer, asJSON bool) error {
	if !asJSON {
		v.write(out)
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode the verdict: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n", b)
	return err
}
