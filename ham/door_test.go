package ham_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/pair"
)

const nobody = 65534

// visit is what another user's process does at the door. It ends the process: 0 if all was as it should be.
func visit(door string) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := func() error {
		c, err := ham.Dial(ctx, ham.Door(door))
		if err != nil {
			return err
		}
		cache, _, err := c.Entity(ctx, "cache")
		if err != nil {
			return err
		}
		own := os.Geteuid() != nobody
		if seen := len(cache.Settings.Command.Argv) > 1; seen != own {
			return fmt.Errorf("arguments of another user's command: seen %v", seen)
		}
		if _, err = c.Control(ctx, ham.Control{Path: ham.At("cache"), Verb: ham.StopProcess}); (err == nil) != own || err != nil && !errors.Is(err, ham.ErrNotPermitted) {
			return fmt.Errorf("to stop another user's program: %w", err)
		}
		s, err := c.AttachSelf(ctx, ham.Attach{Entity: "visitor"})
		if err != nil {
			return err
		}
		return errors.Join(s.Detach(ctx), c.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestAtTheDoorAnotherUserLooksAndKeepsToHisOwn(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	e := sleeper("cache")
	_, err := c.Declare(t.Context(), ham.Declare{Entity: &e})
	require.NoError(t, err)
	h.is(c, "cache", "runs", func(r *ham.Record) bool { return r.Process.Phase == ham.Running })
	cmd := again(envVisit + "=" + h.door)
	if os.Geteuid() == 0 { // otherwise the visitor is of this user, and may do everything
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestWhoLooksNoticesNoSwitch(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	h.protected(c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if _, err := c.Records(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("broken promise: a switch goes unnoticed: %v", err)
			}
		}
	}()
	for range 5 {
		before, err := c.Root(t.Context())
		require.NoError(t, err)
		h.until("the roles are exchanged", func() error {
			err := pair.Switch(ctx, h.dir, talk.Pair)
			if errors.Is(err, pair.ErrNotSynchronised) {
				return err
			}
			require.NoError(t, err)
			return nil
		})
		h.until("the other half is HAM", func() error {
			now, err := c.Root(t.Context())
			if err == nil && now.PID == before.PID {
				err = errors.New("it is not")
			}
			return err
		})
	}
	cancel()
	<-ended
}
