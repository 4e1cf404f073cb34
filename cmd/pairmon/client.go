package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// asksHAM gives a verb the flag of those that speak with HAM.
func (g *global) asksHAM(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&g.door, "door", "", "directory of HAM's sockets for other users")
	return cmd
}

// dial connects to HAM.
func (g *global) dial(ctx context.Context) (*ham.Client, error) {
	if g.door != "" {
		return ham.Dial(ctx, ham.Door(g.door))
	}
	root, err := g.root()
	if err != nil {
		return nil, err
	}
	return ham.Dial(ctx, ham.RunDir(root))
}

// withHAM does something with HAM that takes no longer than a command may.
func (g *global) withHAM(do func(ctx context.Context, c *ham.Client) error) error {
	ctx, cancel := untilSignalled()
	defer cancel()
	ctx, cancelLate := context.WithTimeoutCause(ctx, commandWithin, fmt.Errorf("that took longer than %v", commandWithin))
	defer cancelLate()
	return g.onHAM(ctx, do)
}

// onHAM does something with HAM for as long as it takes.
func (g *global) onHAM(ctx context.Context, do func(ctx context.Context, c *ham.Client) error) (err error) {
	c, err := g.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return do(ctx, c)
}

// completeWithin bounds what a shell waits for after a tab.
const completeWithin = 500 * time.Millisecond

// completeEntities offers the names of entities.
func (g *global) completeEntities(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	var names []string
	_ = g.onHAM(ctx, func(ctx context.Context, c *ham.Client) (err error) {
		names, err = c.Entities(ctx)
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completePairs offers the names of pairs.
func (g *global) completePairs(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	root, err := g.root()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	pages, _ := registry.List(root)
	for _, p := range pages {
		names = append(names, p.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeBoth offers both.
func (g *global) completeBoth(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	pairs, _ := g.completePairs(cmd, args, begun)
	entities, directive := g.completeEntities(cmd, args, begun)
	return append(pairs, entities...), directive
}
