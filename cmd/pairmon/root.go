package main

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// commandWithin bounds every command to a pair: a switch takes milliseconds, a stop waits for two processes to end.
const commandWithin = 15 * time.Second

// global holds the flags that every verb has.
type global struct{ dir string }

// root returns the run directory.
func (g *global) root() (string, error) {
	if g.dir != "" {
		return g.dir, nil
	}
	return registry.Root()
}

func newRoot() *cobra.Command {
	g := &global{}
	cmd := &cobra.Command{
		Use:           "pairmon",
		Short:         "Shows and commands process pairs",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no verb %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&g.dir, "dir", "", "run directory (default: $TANDEM_DIR, or as the pairs choose it)")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(newDemo(g), newStatus(g), newSwitch(g), newUpgrade(g), newStop(g), newBankMember())
	return cmd
}

// takes checks the number of arguments, and says what is expected.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError{fmt.Errorf("%s wants %s", cmd.Name(), what)}
		case len(args) > most:
			return usageError{fmt.Errorf("%s wants %s, not %q", cmd.Name(), what, strings.Join(args, " "))}
		}
		return nil
	}
}

// untilSignalled ends when the user has had enough.
func untilSignalled() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}
