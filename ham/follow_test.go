package ham_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/hands"
)

func TestWhoFollowsGetsEachHappeningOnceAndInOrder(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	_, err := c.Declare(t.Context(), ham.Declare{Entity: &ham.Entity{Name: "bell"}})
	require.NoError(t, err)
	const rings = 300
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	told := make(chan []ham.Happening, 1)
	go func() {
		var all []ham.Happening
		defer func() { told <- all }()
		for x, err := range c.Follow(ctx, 0) {
			if err != nil {
				t.Errorf("broken promise: to follow has no end: %v", err)
				return
			}
			if x.What == ham.HasRaised {
				if all = append(all, x); len(all) == rings {
					return
				}
			}
		}
	}()
	for i := range rings {
		if i == rings/3 || i == 2*rings/3 {
			pid, guardian := h.protected(c)
			if h.kill(pid); i == rings/3 {
				h.kill(guardian)
			}
		}
		// A new HAM refuses the old open, and so this request; it has not been made then.
		for err = errors.New("not yet"); err != nil; {
			err = c.Raise(ctx, ham.Raise{Entity: "bell", Type: int64(i)})
			require.NoError(t, ctx.Err(), err)
		}
	}
	all := <-told
	require.Len(t, all, rings)
	for i := range all[1:] {
		require.Greater(t, all[i+1].Seq, all[i].Seq, "broken promise: in order, and nothing twice")
	}
	kept, err := c.History(ctx)
	require.NoError(t, err)
	n := 0
	for _, x := range kept {
		if x.What == ham.HasRaised {
			require.Equal(t, x, all[n], "broken promise: what is told is what has happened")
			n++
		}
	}
	require.Equal(t, rings, n)
}

func TestWhoFollowsIsToldThatSomethingIsNotKeptAnyMore(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: "bell"}})
	require.NoError(t, err)
	first, err := c.Root(ctx)
	require.NoError(t, err)
	var ringers sync.WaitGroup
	for range 8 {
		ringers.Go(func() {
			for range 300 { // 2400 in all: more than are kept
				if err := c.Raise(ctx, ham.Raise{Entity: "bell"}); err != nil {
					t.Errorf("cannot ring: %v", err)
				}
			}
		})
	}
	ringers.Wait()
	var errs []error
	for x, err := range c.Follow(ctx, first.Seq) {
		if err == nil {
			require.Equal(t, "bell", x.Entity)
			break
		}
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ham.ErrMissed)
}

func TestWhoFollowsIsToldThatHAMHasBegunAnew(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: "old"}})
	require.NoError(t, err)
	anew, began := false, false
	for x, err := range c.Follow(ctx, 0) {
		if errors.Is(err, ham.ErrNewHAM) {
			anew = true
			continue
		}
		require.NoError(t, err)
		if x.Entity == "new" {
			break
		}
		if x.Entity == "old" && !began {
			began = true
			h.end()
			h.launch()
			h.dial() // as soon as there is one
			_, err = c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: "new"}})
			require.NoError(t, err)
		}
	}
	require.True(t, anew)
}

func TestWatchTellsOfTheEndOfAProcessInOneCall(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	cmd := program(t)
	for x, err := range c.Watch(t.Context(), ham.Attach{Entity: "worker", PID: cmd.Process.Pid}) {
		require.NoError(t, err)
		require.Equal(t, "worker", x.Entity)
		if x.What == ham.HasAttached {
			require.NoError(t, cmd.Process.Kill())
		}
		if x.What == ham.HasDied {
			require.Equal(t, cmd.Process.Pid, x.PID)
			break
		}
	}
	_, _, err := c.Entity(t.Context(), "worker")
	require.ErrorIs(t, err, ham.ErrNotFound)
}

func TestWatchLeavesNothingAttached(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	cmd := program(t)
	for _, err := range c.Watch(t.Context(), ham.Attach{Entity: "worker", PID: cmd.Process.Pid}) {
		require.NoError(t, err)
		break
	}
	_, _, err := c.Entity(t.Context(), "worker")
	require.ErrorIs(t, err, ham.ErrNotFound)
	require.True(t, alive(cmd.Process.Pid), "broken promise: who is watched goes on")
}

func TestToFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var last error
	for _, last = range c.Follow(ctx, 0) {
	}
	require.ErrorIs(t, last, context.DeadlineExceeded)
	for _, last = range c.Notified(ctx) {
	}
	require.ErrorIs(t, last, context.DeadlineExceeded)
}

func TestAnActionTellsAClientAcrossATakeover(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: "bell", Conditions: []ham.Condition{
		{Name: "rung", On: ham.OnRaise, Type: ham.IsNot(0), Class: ham.Anything(), Severity: ham.Anything(),
			Actions: []ham.Action{{Name: "tell", Flags: ham.KeepOnFail, Notify: &ham.Notify{Client: c.ID(), Text: "ding"}}}}}}})
	require.NoError(t, err)
	heard := make(chan ham.Message)
	go func() {
		defer close(heard)
		for m, err := range c.Notified(ctx) {
			if err != nil {
				t.Errorf("broken promise: the client is told: %v", err)
				return
			}
			if heard <- m; m.Cause.Raise.Type == 2 {
				return
			}
		}
	}()
	for kind := range int64(2) {
		var m ham.Message
		h.until("it is told", func() error { // while nobody listens the action fails
			require.NoError(t, c.Raise(ctx, ham.Raise{Entity: "bell", Type: kind + 1}))
			for late := time.After(100 * time.Millisecond); ; {
				select {
				case heardNow, more := <-heard:
					require.True(t, more, "broken promise: the client goes on hearing")
					if m = heardNow; m.Cause.Raise.Type == kind+1 { // not one of before
						return nil
					}
				case <-late:
					return errors.New("not yet")
				}
			}
		})
		require.Equal(t, "bell", m.Entity)
		require.Equal(t, "tell", m.Action)
		require.Equal(t, "ding", m.Text)
		if kind == 0 {
			pid, _ := h.protected(c)
			h.kill(pid)
		}
	}
	for range heard { // what was told before we asked once more
	}
}

func TestAMessageIsWhatHandsSend(t *testing.T) {
	t.Parallel()
	sent := hands.Message{Entity: "a", Condition: "b", Action: "c", Text: "d"}
	sent.Cause.Seq = 5
	text, err := json.Marshal(sent)
	require.NoError(t, err)
	var got ham.Message
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, ham.Message(sent), got)
}
