package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

func newSwitch(g *global) *cobra.Command {
	return &cobra.Command{
		Use:               "switch NAME",
		Short:             "Exchange the roles of a pair: its backup serves, its primary becomes the backup",
		Args:              takes(1, 1, "the NAME of a pair"),
		ValidArgsFunction: g.completePairs,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			ctx, cancel := untilSignalled()
			defer cancel()
			ctx, cancelLate := context.WithTimeout(ctx, commandWithin)
			defer cancelLate()
			name := args[0]
			before, _ := registry.Read(root, name) // only to tell when the page is a newer one
			if err := pair.Switch(ctx, root, name); err != nil {
				return err
			}
			if p := pageAfter(ctx, root, name, before); p.Primary != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: process %d is primary now, epoch %d\n", name, p.Primary.PID, p.Epoch)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: switched\n", name)
			return nil
		},
	}
}

// pageAfter waits a little for the new primary to publish; it does so after it has begun to serve.
func pageAfter(ctx context.Context, root, name string, before registry.Page) registry.Page {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		p, err := registry.Read(root, name)
		if err == nil && (p.Epoch > before.Epoch || p.Instance != before.Instance) {
			return p
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return registry.Page{}
		}
	}
}

// pause waits, unless ctx ends first; then it returns why.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gave up: %w", context.Cause(ctx))
	}
}
