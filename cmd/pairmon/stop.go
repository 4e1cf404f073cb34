package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// stopAllWithin bounds the stop of HAM: everything that it runs is given its time to end.
const stopAllWithin = 2 * time.Minute

func newStop(g *global) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "stop (NAME | --all)",
		Short: "Stop an entity or both processes of a pair; with --all everything that HAM runs, and HAM",
		Long: "Stops an entity of HAM, after those that depend on it, or a pair that HAM does not watch. With --all, or the name ham: stops everything\n" +
			"that HAM has started, and then HAM itself, its guardian first. What was only attached goes on.",
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return takes(0, 0, "no NAME beside --all")(cmd, args)
			}
			return takes(1, 1, "the NAME of a pair or an entity")(cmd, args)
		},
		ValidArgsFunction: g.completeBoth,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all || args[0] == talk.Pair {
				return g.stopHAM(cmd.OutOrStdout())
			}
			return g.stopOne(cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "stop HAM, and first everything that it has started")
	return g.asksHAM(cmd)
}

// stopOne stops an entity, or a pair. What HAM runs is stopped by HAM: it would start it again.
func (g *global) stopOne(w io.Writer, name string) error {
	root, err := g.root()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignalled()
	defer cancel()
	ctx, cancelLate := context.WithTimeoutCause(ctx, commandWithin, fmt.Errorf("that took longer than %v", commandWithin))
	defer cancelLate()
	err = g.onHAM(ctx, func(ctx context.Context, c *ham.Client) error { return stopEntity(ctx, c, name) })
	if errors.Is(err, ham.ErrNoHAM) || errors.Is(err, ham.ErrNotFound) {
		err = pair.Stop(ctx, root, name)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%s: stopped\n", name)
	}
	return err
}

// stopEntity returns when the entity has no process any more.
func stopEntity(ctx context.Context, c *ham.Client, name string) error {
	root, err := c.Root(ctx)
	if err != nil {
		return err
	}
	if _, err := c.Control(ctx, ham.Control{Path: ham.At(name), Verb: ham.StopProcess}); err != nil {
		return err
	}
	ended := func() bool {
		e, _, err := c.Entity(ctx, name)
		return errors.Is(err, ham.ErrNotFound) || err == nil && !e.Alive() && e.Process.Phase != ham.Starting
	}
	if ended() {
		return nil
	}
	for h, err := range c.Follow(ctx, root.Seq) {
		if err != nil && !errors.Is(err, ham.ErrMissed) && !errors.Is(err, ham.ErrNewHAM) {
			return err
		}
		if h.Entity == name && ended() {
			return nil
		}
	}
	return nil
}

// stopHAM returns when HAM is gone.
func (g *global) stopHAM(w io.Writer) error {
	root, err := g.root()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignalled()
	defer cancel()
	ctx, cancelLate := context.WithTimeoutCause(ctx, stopAllWithin, fmt.Errorf("HAM has not stopped everything within %v", stopAllWithin))
	defer cancelLate()
	err = g.onHAM(ctx, func(ctx context.Context, c *ham.Client) error {
		_, err := c.Control(ctx, ham.Control{Verb: ham.StopAll})
		return err
	})
	for err == nil {
		p, e := registry.Read(root, talk.Pair)
		if errors.Is(e, registry.ErrNoPair) || e == nil && !lives(p.Primary) && !lives(p.Backup) {
			_, err = fmt.Fprintln(w, "HAM: stopped")
			return err
		}
		err = pause(ctx, 10*time.Millisecond)
	}
	return err
}

func lives(m *registry.Member) bool {
	return m != nil && proc.ID{PID: m.PID, Start: m.Start}.Alive()
}
