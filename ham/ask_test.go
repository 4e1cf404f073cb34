package ham_test

import (
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
)

func TestWithoutHAMADialSaysSoAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ham.Dial(t.Context(), ham.RunDir(t.TempDir()))
	require.ErrorIs(t, err, ham.ErrNoHAM)
	_, err = ham.Dial(t.Context(), ham.Door(t.TempDir()))
	require.ErrorIs(t, err, ham.ErrNoHAM)
}

func sleeper(name string) ham.Entity {
	return ham.Entity{Name: name, Flags: ham.KeepOnDeath,
		Settings: &ham.Settings{Command: ham.Command{Argv: []string{"sleep", "1000"}}, Start: true},
		Conditions: []ham.Condition{{Name: "death", On: ham.OnDeath, Flags: ham.RearmCondition, Actions: []ham.Action{
			{Name: "restart", Flags: ham.RearmAction, Restart: &ham.Restart{}}}}}}
}

func TestToDeclareWhatIsThereChangesNothing(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	e := sleeper("cache")
	first, err := c.Declare(ctx, ham.Declare{Entity: &e})
	require.NoError(t, err)
	pid := h.is(c, "cache", "runs", func(r *ham.Record) bool { return r.Process.Phase == ham.Running }).Process.PID

	again, err := c.Declare(ctx, ham.Declare{Entity: &e})
	require.NoError(t, err)
	require.Equal(t, first, again)
	_, err = c.Declare(ctx, ham.Declare{Entity: &e, Create: true})
	require.ErrorIs(t, err, ham.ErrExists)
	r, _, err := c.Entity(ctx, "cache")
	require.NoError(t, err)
	require.Equal(t, pid, r.Process.PID, "broken promise: what was running goes on")

	h.kill(pid)
	h.is(c, "cache", "is restarted", func(r *ham.Record) bool { return r.Restarts == 1 && r.Process.Phase == ham.Running })
	names, err := c.Entities(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"cache", ham.Global}, names)
}

func TestPartsOfTheTreeComeAndGo(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: "door"}})
	require.NoError(t, err)
	on, err := c.Declare(ctx, ham.Declare{Path: ham.At("door"), Condition: &ham.Condition{Name: "opened", On: ham.OnState, Flags: ham.KeepOnEmpty, From: ham.Anything(), To: ham.Is(0)}})
	require.NoError(t, err)
	note, err := c.Declare(ctx, ham.Declare{Path: on, Action: &ham.Action{Name: "note", Log: &ham.Log{Text: "opened"}}})
	require.NoError(t, err)
	require.Equal(t, "door/opened/note", note.Path.String())

	require.NoError(t, c.ReportState(ctx, ham.ReportState{Entity: ham.At("door"), State: 0}))
	h.is(c, "door", "has fired", func(r *ham.Record) bool { return r.Conditions[0].Fired == 1 && r.Conditions[0].Actions[0].Runs == 1 })
	_, err = c.Control(ctx, ham.Control{Path: note, Verb: ham.Disable})
	require.NoError(t, err)
	flags, err := c.Control(ctx, ham.Control{Path: on, Verb: ham.GetFlags})
	require.NoError(t, err)
	require.EqualValues(t, ham.KeepOnEmpty, flags)

	require.NoError(t, c.Remove(ctx, ham.Remove{Path: note}))
	require.ErrorIs(t, c.Remove(ctx, ham.Remove{Path: note}), ham.ErrNotFound)
	require.NoError(t, c.Remove(ctx, ham.Remove{Path: on}))
	require.NoError(t, c.Remove(ctx, ham.Remove{Path: ham.At("door")}))
	_, _, err = c.Entity(ctx, "door")
	require.ErrorIs(t, err, ham.ErrNotFound)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestAStaleHandleIsToldFromTheNewOne(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	e := ham.Entity{Name: "till"}
	old, err := c.Declare(ctx, ham.Declare{Entity: &e})
	require.NoError(t, err)
	require.NoError(t, c.Remove(ctx, ham.Remove{Path: old}))
	_, err = c.Declare(ctx, ham.Declare{Entity: &e})
	require.NoError(t, err)
	err = c.Remove(ctx, ham.Remove{Path: old})
	require.ErrorIs(t, err, ham.ErrStale)
	require.ErrorContains(t, err, "cannot remove till: ")
}

func TestARequestIsAppliedOnceWhateverDies(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: "bell", Conditions: []ham.Condition{
		{Name: "rung", On: ham.OnRaise, Flags: ham.RearmCondition, Type: ham.Anything(), Class: ham.Anything(), Severity: ham.Anything(),
			Actions: []ham.Action{{Name: "note", Log: &ham.Log{Text: "ding"}}}}}}})
	require.NoError(t, err)
	const ringers, rings = 4, 200
	var all sync.WaitGroup
	for range ringers {
		all.Go(func() {
			for i := range rings {
				if err := c.Raise(ctx, ham.Raise{Entity: "bell", Type: int64(i)}); err != nil {
					t.Errorf("broken promise: a takeover is not noticed: %v", err)
					return
				}
			}
		})
	}
	for range 2 {
		pid, _ := h.protected(c)
		h.kill(pid)
	}
	all.Wait()
	h.is(c, "bell", "was rung so often", func(r *ham.Record) bool { return r.Conditions[0].Fired == ringers*rings })
}

func TestANewHAMIsFoundByEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	e := sleeper("cache")
	_, err := c.Declare(ctx, ham.Declare{Entity: &e})
	require.NoError(t, err)
	pid, guardian := h.protected(c)
	h.kill(pid, guardian)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := c.Declare(ctx, ham.Declare{Entity: &e}); err != nil {
				t.Errorf("broken promise: a new HAM takes what can be asked twice: %v", err)
			}
		})
	}
	all.Wait()
	h.is(c, "cache", "runs", func(r *ham.Record) bool { return r.Process.Phase == ham.Running })
}

func TestAClosedClientSaysSo(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	require.NoError(t, c.Close())
	_, err := c.Root(t.Context())
	require.ErrorIs(t, err, ham.ErrClosed)
	require.ErrorIs(t, c.Raise(t.Context(), ham.Raise{}), ham.ErrClosed)
	_, err = c.AttachSelf(t.Context(), ham.Attach{Entity: "me"})
	require.ErrorIs(t, err, ham.ErrClosed)
	require.NoError(t, c.Close())
}

func TestNoProcessNoAttachment(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.dial()
	_, err := c.Attach(t.Context(), ham.Attach{Entity: "nobody", PID: 1 << 30})
	require.ErrorContains(t, err, "cannot attach process 1073741824 as nobody: ")
	_, _, err = c.Entity(t.Context(), "nobody")
	require.ErrorIs(t, err, ham.ErrNotFound)
}
