package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/config"
	"github.com/1fb4ed1c/tandem/ham/daemon"
)

func newServe(g *global) *cobra.Command {
	var file, door string
	cmd := &cobra.Command{
		Use:   "serve [--config FILE]",
		Short: "Keep HAM: start what a file declares, and watch it",
		Long: "Starts HAM and its guardian and stays, until SIGTERM, SIGINT or `pairmon stop --all`: then what HAM has started is stopped,\n" +
			"dependents first, and HAM after it. SIGHUP reads the file again. Should this process be killed, HAM goes on, and the\n" +
			"next serve finds it; should both halves of HAM be killed, they are started again and find what runs.",
		Args: takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			s := served{root: root, log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
			return s.serve(file, door)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "TOML file with the entities; none: HAM begins with nothing, or with what it had")
	cmd.Flags().StringVar(&door, "door", "", "make sockets for other users in this directory")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagDirname("door")
	return cmd
}

// served is HAM as a file wants it.
type served struct {
	root string
	log  *slog.Logger
}

func (s *served) serve(file, door string) error {
	c := daemon.Config{RunDir: s.root, Door: door, Logger: s.log}
	if file != "" {
		path, err := filepath.Abs(file)
		if err != nil {
			return fmt.Errorf("cannot find %s: %w", file, err)
		}
		if c.Entities, err = config.Load(path); err != nil {
			return err
		}
		unlock, err := lockNote(s.root)
		if err != nil {
			return fmt.Errorf("cannot keep HAM: %w", err)
		}
		defer unlock()
		c.Reload = func(ctx context.Context) ([]ham.Entity, error) { return s.reload(ctx, path) }
		ctx, cancel := context.WithCancel(context.Background())
		cleared := make(chan struct{})
		go func() {
			defer close(cleared)
			s.clear(ctx, path, c.Entities)
		}()
		defer func() { cancel(); <-cleared }()
	}
	status, err := daemon.Keep(context.Background(), c)
	if err == nil && status != 0 {
		err = exit{status}
	}
	return err
}

// reload does what SIGHUP asks for.
func (s *served) reload(ctx context.Context, path string) ([]ham.Entity, error) {
	specs, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	c, err := ham.Dial(ctx, ham.RunDir(s.root))
	if err != nil {
		return nil, err
	}
	d, err := apply(ctx, c, s.root, path, specs)
	s.log.Info("the file is read again", "declared", d.declared, "removed", d.removed)
	return specs, errors.Join(err, c.Close())
}

// clear removes what an earlier file declared and this one does not, once there is a HAM.
func (s *served) clear(ctx context.Context, path string, specs []ham.Entity) {
	for ctx.Err() == nil {
		c, err := ham.Dial(ctx, ham.RunDir(s.root))
		if err == nil {
			removed, err := removeGone(ctx, c, s.root, path, specs)
			if err != nil && ctx.Err() == nil {
				s.log.Error("not everything is removed that was", "cause", err)
			}
			if len(removed) > 0 {
				s.log.Info("the file does not declare them any more", "removed", removed)
			}
			_ = c.Close()
			return
		}
		_ = pause(ctx, 50*time.Millisecond)
	}
}
