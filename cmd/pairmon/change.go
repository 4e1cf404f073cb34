package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/core"
)

// change is a verb that has HAM change something, and says what it has done.
func (g *global) change(cmd *cobra.Command, do func(ctx context.Context, c *ham.Client, args []string) (said string, err error)) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return g.withHAM(func(ctx context.Context, c *ham.Client) error {
			said, err := do(ctx, c, args)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			}
			return err
		})
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = g.completeEntities
	}
	return g.asksHAM(cmd)
}

func newAttach(g *global) *cobra.Command {
	pid := 0
	cmd := g.change(&cobra.Command{
		Use:   "attach NAME (--pid PID | -- COMMAND [ARGUMENT…])",
		Short: "Have HAM watch a process, or start a command and watch it",
		Long: "Has HAM watch a process under a NAME, or start a COMMAND. What is to happen when it dies is for the conditions of the entity, in a\n" +
			"file; without them its end is only told.",
		Args: func(cmd *cobra.Command, args []string) error {
			switch given := cmd.Flags().Changed("pid"); {
			case len(args) == 0:
				return usageError{errors.New("attach wants a NAME, and --pid PID or a COMMAND after --")}
			case given == (len(args) > 1):
				return usageError{errors.New("attach wants either --pid PID or a COMMAND after --")}
			case given && pid <= 0:
				return usageError{fmt.Errorf("--pid %d: want the number of a process", pid)}
			}
			return nil
		},
	}, func(ctx context.Context, c *ham.Client, args []string) (string, error) {
		a := ham.Attach{Entity: args[0], PID: pid}
		if pid != 0 {
			_, err := c.Attach(ctx, a)
			return fmt.Sprintf("%s: process %d is watched", args[0], pid), err
		}
		dir, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("cannot tell where to start it: %w", err)
		}
		a.Settings = &ham.Settings{Command: ham.Command{Argv: args[1:], Dir: dir}}
		_, err = c.Attach(ctx, a)
		return args[0] + ": is being started", err
	})
	cmd.Flags().IntVar(&pid, "pid", 0, "number of the process")
	return cmd
}

func newDetach(g *global) *cobra.Command {
	var stop bool
	cmd := g.change(&cobra.Command{
		Use:   "detach NAME",
		Short: "Have HAM watch a process no longer; it goes on",
		Args:  takes(1, 1, "the NAME of an entity"),
	}, func(ctx context.Context, c *ham.Client, args []string) (string, error) {
		return args[0] + ": detached", c.Detach(ctx, ham.Detach{Path: ham.At(args[0]), Stop: stop})
	})
	cmd.Flags().BoolVar(&stop, "stop", false, "end the process first")
	return cmd
}

// control is a verb for one place of the tree.
func (g *global) control(verb ham.Verb, use, said, short string) *cobra.Command {
	recurse := false
	cmd := g.change(&cobra.Command{Use: use, Short: short, Args: takes(1, 1, "a PATH, ENTITY or ENTITY/CONDITION or ENTITY/CONDITION/ACTION")},
		func(ctx context.Context, c *ham.Client, args []string) (string, error) {
			path, err := core.ParsePath(args[0])
			if err != nil {
				return "", usageError{err}
			}
			_, err = c.Control(ctx, ham.Control{Path: ham.Handle{Path: path}, Verb: verb, Recurse: recurse})
			return args[0] + ": " + said, err
		})
	if verb == ham.Enable || verb == ham.Disable {
		cmd.Flags().BoolVar(&recurse, "recurse", false, "and everything below it by itself")
	}
	return cmd
}

func newEnable(g *global) *cobra.Command {
	return g.control(ham.Enable, "enable PATH", "enabled", "Switch a part of the tree on again")
}

func newDisable(g *global) *cobra.Command {
	return g.control(ham.Disable, "disable PATH", "disabled", "Switch a part of the tree off: its actions are not done, nor those below it")
}

func newStart(g *global) *cobra.Command {
	return g.control(ham.StartProcess, "start NAME", "is being started", "Start an entity that does not run; its restart budget begins anew")
}

func newRestart(g *global) *cobra.Command {
	return g.control(ham.RestartProcess, "restart NAME", "is being restarted", "Stop an entity and start it again; its restart budget is not touched")
}

func newRaise(g *global) *cobra.Command {
	var r ham.Raise
	cmd := g.change(&cobra.Command{
		Use:   "raise NAME",
		Short: "Raise a condition of an entity",
		Args:  takes(1, 1, "the NAME of an entity"),
	}, func(ctx context.Context, c *ham.Client, args []string) (string, error) {
		r.Entity = args[0]
		return fmt.Sprintf("%s: raised type %d, class %d, severity %d", r.Entity, r.Type, r.Class, r.Severity), c.Raise(ctx, r)
	})
	cmd.Flags().Int64Var(&r.Type, "type", 0, "what its numbers mean is for the entity to say")
	cmd.Flags().Int64Var(&r.Class, "class", 0, "likewise")
	cmd.Flags().Int64Var(&r.Severity, "severity", 0, "likewise")
	return cmd
}

func newState(g *global) *cobra.Command {
	return g.change(&cobra.Command{
		Use:   "state NAME NUMBER",
		Short: "Report that an entity has entered a state",
		Args:  takes(2, 2, "the NAME of an entity and the NUMBER of a state"),
	}, func(ctx context.Context, c *ham.Client, args []string) (string, error) {
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return "", usageError{fmt.Errorf("state %q: want a number", args[1])}
		}
		return fmt.Sprintf("%s: in state %d", args[0], n), c.ReportState(ctx, ham.ReportState{Entity: ham.At(args[0]), State: n})
	})
}
