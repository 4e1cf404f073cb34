package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// upgradeWithin is how long an upgrade may take unless it is told otherwise: two processes are started and filled.
const upgradeWithin = 2 * time.Minute

func newUpgrade(g *global) *cobra.Command {
	within := upgradeWithin
	cmd := &cobra.Command{
		Use:   "upgrade NAME BINARY",
		Short: "Replace both processes of a pair by those of another program, while it serves",
		Long: "Replace both processes of a pair by those of another program, while it serves. BINARY becomes the backup, is\n" +
			"filled, becomes the primary, and replaces the other process in the same way. A program that cannot take over\n" +
			"changes nothing: the pair goes on as it was. To repeat an upgrade completes one that could not be completed.",
		Args:              takes(2, 2, "the NAME of a pair and the path of a BINARY"),
		ValidArgsFunction: g.completePairs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if within <= 0 {
				return usageError{fmt.Errorf("--within %v: want more than nothing", within)}
			}
			root, err := g.root()
			if err != nil {
				return err
			}
			binary, err := filepath.Abs(args[1]) // it is the pair that starts it
			if err != nil {
				return fmt.Errorf("cannot find %s: %w", args[1], err)
			}
			ctx, cancel := untilSignalled()
			defer cancel()
			ctx, cancelLate := context.WithTimeoutCause(ctx, within, fmt.Errorf("that took longer than %v", within))
			defer cancelLate()
			name := args[0]
			tell := func(step string) { fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", name, step) }
			if err := pair.Upgrade(ctx, root, name, binary, tell); err != nil {
				return err
			}
			tell(upgraded(root, name))
			return nil
		},
	}
	cmd.Flags().DurationVar(&within, "within", within, "give up after so long; before the new program is the primary, this calls the upgrade off")
	return cmd
}

// upgraded says what the pair is now.
func upgraded(root, name string) string {
	p, err := registry.Read(root, name)
	if err != nil || p.Primary == nil || p.Backup == nil {
		return "upgraded"
	}
	return fmt.Sprintf("upgraded: process %d is the primary, process %d the backup, of %s", p.Primary.PID, p.Backup.PID, p.Primary.Program)
}
