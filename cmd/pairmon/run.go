package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/daemon"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// runFlags are what a user can choose about a run.
type runFlags struct {
	name      string
	pair      string
	restart   int
	delay     time.Duration
	heartbeat time.Duration
	verbose   bool
}

func newRun(g *global) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT…]",
		Short: "Run one command under a HAM of its own, in the foreground",
		Long: "Runs one command under a HAM of its own, and ends with its status when it has ended for good (128 more than the number of a\n" +
			"signal). It prints what the command prints, standard error too, to its standard output. SIGTERM and SIGINT stop it, other signals are passed on. It is fit to be process 1 of a\n" +
			"container: it reaps what has lost its parent. The run directory must have no HAM yet.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("run wants a COMMAND, best after --")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			e, err := f.entity(args)
			if err != nil {
				return err
			}
			return f.run(root, e, cmd.OutOrStdout())
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the command is the command's
	cmd.Flags().StringVar(&f.name, "name", "", "name of the entity (default: that of the command)")
	cmd.Flags().StringVar(&f.pair, "pair", "", "it is the process pair of this name: it has ended when both members have")
	cmd.Flags().IntVar(&f.restart, "restart", 0, "restart it when it dies, so many times a minute at most; -1: without limit")
	cmd.Flags().DurationVar(&f.delay, "delay", 100*time.Millisecond, "before the second restart in a row; it doubles, up to 30 s")
	cmd.Flags().DurationVar(&f.heartbeat, "heartbeat", 0, "it sends WATCHDOG=1, or bumps its word, once in such a time; after 4 missed ones it is killed")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show what HAM does, on stderr")
	return cmd
}

// run keeps HAM until the entity has ended for good.
func (f *runFlags) run(root string, e ham.Entity, stdout io.Writer) error {
	level := slog.LevelError
	if f.verbose {
		level = slog.LevelInfo
	}
	out, err := newOutlet(filepath.Join(root, talk.Pair), stdout)
	if err != nil {
		return err
	}
	e.Settings.Command.Output = ham.Output{File: out.path}
	status, err := daemon.Keep(context.Background(), daemon.Config{RunDir: root, Entities: []ham.Entity{e}, Once: e.Name, Quiet: level > slog.LevelInfo,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))})
	if err = errors.Join(err, out.close()); err == nil && status != 0 && !f.wasStopped(root) {
		err = exit{status}
	}
	return err
}

// wasStopped tells whether it was a pair that ended well: of two processes there is no one status.
func (f *runFlags) wasStopped(root string) bool {
	p, err := registry.Read(root, f.pair)
	return f.pair != "" && err == nil && p.Stopped
}

// statusNotFound is what a shell ends with when there is no such command.
const statusNotFound = 127

// entity is the one that is run.
func (f *runFlags) entity(args []string) (ham.Entity, error) {
	if _, err := exec.LookPath(args[0]); err != nil {
		fmt.Fprintln(os.Stderr, "pairmon: cannot run it:", err)
		return ham.Entity{}, exit{statusNotFound}
	}
	if f.name == "" {
		f.name = strings.TrimLeft(filepath.Base(args[0]), ".")
	}
	if f.delay <= 0 {
		return ham.Entity{}, usageError{fmt.Errorf("--delay %v: want more than nothing", f.delay)}
	}
	if f.heartbeat < 0 {
		return ham.Entity{}, usageError{fmt.Errorf("--heartbeat %v: want a time, or nothing", f.heartbeat)}
	}
	dir, err := os.Getwd()
	if err != nil {
		return ham.Entity{}, fmt.Errorf("cannot tell where to run it: %w", err)
	}
	s := &ham.Settings{Start: true, Pair: f.pair, Command: ham.Command{Argv: args, Dir: dir}}
	e := ham.Entity{Name: f.name, Flags: ham.KeepOnDeath, Settings: s}
	if f.restart != 0 {
		s.Restart = ham.Budget{Limit: f.restart, Delay: f.delay}
		e.Conditions = append(e.Conditions, ham.Condition{Name: "death", On: ham.OnDeath, Flags: ham.RearmCondition,
			Actions: []ham.Action{{Name: "restart", Flags: ham.RearmAction | ham.KeepOnFail, Restart: &ham.Restart{}}}})
	}
	if f.heartbeat > 0 {
		s.Heartbeat = ham.Heartbeat{Period: f.heartbeat, Low: 2, High: 4, Grace: 10 * f.heartbeat}
		e.Conditions = append(e.Conditions, ham.Condition{Name: "hang", On: ham.OnHeartbeatMissedHigh, Flags: ham.RearmCondition | ham.Independent,
			Actions: []ham.Action{{Name: "kill", Flags: ham.RearmAction | ham.KeepOnFail, Kill: &ham.Kill{Steps: []ham.KillStep{{Signal: int(unix.SIGKILL), Wait: 5 * time.Second}}}}}})
	}
	return e, nil
}
