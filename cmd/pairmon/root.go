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

// global holds the flags that every verb has, and the one that those have which speak with HAM.
type global struct{ dir, door string }

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
		Short:         "Keeps programs and process pairs running, shows and commands them",
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
	cmd.AddGroup(&cobra.Group{ID: groupHAM, Title: "HAM, the monitor:"}, &cobra.Group{ID: groupLook, Title: "Looking:"},
		&cobra.Group{ID: groupChange, Title: "What HAM watches:"}, &cobra.Group{ID: groupPairs, Title: "Pairs:"})
	add := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
			cmd.AddCommand(v)
		}
	}
	add(groupHAM, newServe(g), newRun(g), newCheck(), newReload(g))
	add(groupLook, newStatus(g), newEvents(g), newHistory(g), newLs(g), newCat(g), newTree(g), newMount(g))
	add(groupChange, newAttach(g), newDetach(g), newStart(g), newStop(g), newRestart(g), newEnable(g), newDisable(g), newRaise(g), newState(g))
	add(groupPairs, newSwitch(g), newUpgrade(g), newDrill(g), newDemo(g))
	cmd.AddCommand(newBankMember(), newMan())
	return cmd
}

// Groups of verbs in the help.
const (
	groupHAM    = "ham"
	groupLook   = "look"
	groupChange = "change"
	groupPairs  = "pairs"
)

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
