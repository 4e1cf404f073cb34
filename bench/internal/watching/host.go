package watching

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/daemon"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// hamUnderTest is a HAM with its guardian and its keeper, and a connection to it.
type hamUnderTest struct {
	w      *world.World
	keeper *proc.Process
	client *ham.Client
}

// hamProcess keeps a HAM.
func hamProcess(profile *string) *cobra.Command {
	return &cobra.Command{Use: "ham", RunE: func(*cobra.Command, []string) error {
		_, err := daemon.Keep(context.Background(), daemon.Config{Profile: *profile})
		return err
	}}
}

// startHAM starts HAM and waits until it is protected.
func startHAM(ctx context.Context, w *world.World) (h *hamUnderTest, err error) {
	h = &hamUnderTest{w: w}
	if h.keeper, err = w.Spawn(nil, "ham"); err != nil {
		return nil, err
	}
	if _, err = h.protected(ctx); err == nil {
		h.client, err = ham.Dial(ctx, ham.RunDir(w.RunDir()))
	}
	if err != nil {
		return nil, errors.Join(err, h.keeper.Signal(unix.SIGTERM), h.keeper.Close())
	}
	return h, nil
}

func (h *hamUnderTest) protected(ctx context.Context) (registry.Page, error) {
	return h.w.AwaitPage(ctx, talk.Pair, time.Millisecond, world.StartWithin, "protected", subject.Protected)
}

// stop has HAM stop what it runs, and itself, and forgets it.
func (h *hamUnderTest) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), world.StartWithin)
	defer cancel()
	defer h.keeper.Close()
	_ = h.client.Close()
	if err := h.keeper.Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop HAM: %w", err)
	}
	for h.keeper.ID().Alive() {
		if world.Pause(ctx, time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("cannot stop HAM: %w", ctx.Err())
		}
	}
	return os.RemoveAll(filepath.Join(h.w.RunDir(), talk.Pair))
}

// monotonic is the time that HAM's happenings bear, too.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // there is this clock
	return time.Duration(ts.Nano())
}
