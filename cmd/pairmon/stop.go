package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/pair"
)

func newStop(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "stop NAME",
		Short: "Stop both processes of a pair",
		Args:  takes(1, 1, "the NAME of a pair"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			ctx, cancel := untilSignalled()
			defer cancel()
			ctx, cancelLate := context.WithTimeout(ctx, commandWithin)
			defer cancelLate()
			if err := pair.Stop(ctx, root, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: stopped\n", args[0])
			return nil
		},
	}
}
