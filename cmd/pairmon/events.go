package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
)

func newEvents(g *global) *cobra.Command {
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "events [-f]",
		Short: "Show what has happened, and with -f what happens",
		Long: "Shows what has happened, as far as it is kept (the last 1000 and more), and with -f what happens from now on too, until it is\n" +
			"interrupted. Takeovers of HAM, and its restart, leave nothing out.",
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := shower(cmd.OutOrStdout(), asJSON)
			if follow {
				return g.followEvents(show)
			}
			return g.withHAM(func(ctx context.Context, c *ham.Client) error {
				all, err := c.History(ctx)
				return errors.Join(showAll(all, show), err)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each as one JSON object on a line")
	return g.asksHAM(cmd)
}

// followEvents shows what happens until the user has had enough.
func (g *global) followEvents(show func(*ham.Happening) error) error {
	ctx, cancel := untilSignalled()
	defer cancel()
	err := g.onHAM(ctx, func(ctx context.Context, c *ham.Client) error {
		for h, err := range c.Follow(ctx, 0) {
			switch {
			case errors.Is(err, ham.ErrMissed) || errors.Is(err, ham.ErrNewHAM):
				fmt.Fprintln(os.Stderr, "pairmon:", err)
				continue
			case err == nil:
				err = show(&h)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil // to be interrupted is how it ends
	}
	return err
}

func newHistory(g *global) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "history [ENTITY]",
		Short:             "Show what has happened, to one entity or to all",
		Long:              "Shows what has happened, as far as it is kept: the last 16 happenings of an ENTITY, or the last 1000 and more of all.",
		Args:              takes(0, 1, "the name of an ENTITY, or nothing for all"),
		ValidArgsFunction: g.completeEntities,
		RunE: func(cmd *cobra.Command, args []string) error {
			show := shower(cmd.OutOrStdout(), asJSON)
			return g.withHAM(func(ctx context.Context, c *ham.Client) error {
				if len(args) == 0 {
					all, err := c.History(ctx)
					return errors.Join(showAll(all, show), err)
				}
				e, _, err := c.Entity(ctx, args[0])
				if err != nil {
					return err
				}
				return showAll(e.History, show)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each as one JSON object on a line")
	return g.asksHAM(cmd)
}

func showAll(all []ham.Happening, show func(*ham.Happening) error) error {
	for i := range all {
		if err := show(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

// shower writes happenings, one a line.
func shower(w io.Writer, asJSON bool) func(*ham.Happening) error {
	if asJSON {
		out := json.NewEncoder(w)
		return func(h *ham.Happening) error { return out.Encode(h) }
	}
	return func(h *ham.Happening) error {
		_, err := fmt.Fprintln(w, happeningText(h))
		return err
	}
}
