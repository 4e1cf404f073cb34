package receive

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// checkpoint carries a State to the backup of a requester pair.
func checkpoint(t *testing.T, st State) State {
	t.Helper()
	b, err := msgpack.Marshal(st)
	require.NoError(t, err)
	var got State
	require.NoError(t, msgpack.Unmarshal(b, &got))
	return got
}

func resume(t *testing.T, p *fakePair, st State) *Conn {
	t.Helper()
	c, err := Resume(t.Context(), checkpoint(t, st), RunDir(p.root))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// T5, T14: a requester pair. Its primary prepares three requests, checkpoints,
// and dies having sent some of them. Its backup goes on with the same open.
func TestARequestersBackupReissuesWithTheOriginalIDs(t *testing.T) {
	t.Parallel()
	for sent := range 4 {
		p := serveFake(t)
		c := p.dial(t)
		require.Equal(t, "before", write(t, c, "echo", "before"))
		var pending []*Pending
		for i := range 3 {
			q, err := c.Prepare(t.Context(), "echo", fmt.Appendf(nil, "request %d", i))
			require.NoError(t, err)
			require.Equal(t, uint64(i+2), q.ID())
			pending = append(pending, q)
		}
		st := c.State()
		for _, q := range pending[:sent] {
			_, err := q.Do(t.Context())
			require.NoError(t, err)
		}

		backup := resume(t, p, st)
		require.Len(t, st.Pending, 3)
		for i, q := range st.Pending {
			reply, err := backup.Reissue(t.Context(), q.ID)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("request %d", i), string(reply))
			require.Equal(t, 1, p.ran(string(reply)), "after %d were sent: a re-issued request must be applied once", sent)
			_, err = backup.Reissue(t.Context(), q.ID)
			require.ErrorIs(t, err, ErrInvalidOperation)
		}
		require.Equal(t, "5", write(t, backup, "id", "after"), "new requests get new IDs")
		p.requireOnce(t)
	}
}

// T5, the other half: without the saved IDs they are applied twice.
func TestWithoutItsStateARequestersBackupDoublesEverything(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	write(t, p.dial(t), "echo", "pay")
	write(t, p.dial(t), "echo", "pay")
	require.Equal(t, 2, p.ran("pay"))
}

func TestARequestUnderWayCanBeReissuedByTheBackup(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	began := make(chan struct{})
	p.with(func() {
		p.mute = func(*wire.Frame) bool { close(began); return true }
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := c.WriteRead(ctx, "id", []byte("x"))
		ended <- err
	}()
	<-began
	p.with(func() { p.mute = nil })
	st := c.State()
	backup := resume(t, p, st)
	reply, err := backup.Reissue(t.Context(), st.Pending[0].ID)
	require.NoError(t, err)
	require.Equal(t, "1", string(reply))
	p.requireOnce(t)
	cancel()
	require.ErrorIs(t, <-ended, ErrCancelled)
}

func TestWhatIsNotReissuedIsForgotten(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t, Window(2))
	for range 2 {
		_, err := c.Prepare(t.Context(), "echo", []byte("x"))
		require.NoError(t, err)
	}
	backup := resume(t, p, c.State())
	done := make(chan string)
	go func() { done <- write(t, backup, "echo", "waits for room") }()
	require.NoError(t, backup.Forget(1))
	require.Equal(t, "waits for room", <-done)
	require.ErrorIs(t, backup.Forget(1), ErrInvalidOperation)
	require.NoError(t, backup.Forget(2))
	require.Zero(t, p.ran("x"))
}

func TestAPreparedRequestIsSentOnceOrDropped(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t, Window(1))
	q, err := c.Prepare(t.Context(), "echo", []byte("x"))
	require.NoError(t, err)
	p.takeover(false)
	p.dropConns()
	require.Zero(t, p.ran("x"), "nothing but Do sends it")
	waiting, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Prepare(waiting, "echo", nil)
	require.ErrorIs(t, err, ErrCancelled, "the window is full")
	reply, err := q.Do(t.Context())
	require.NoError(t, err)
	require.Equal(t, "x", string(reply))
	_, err = q.Do(t.Context())
	require.ErrorIs(t, err, ErrInvalidOperation)
	q.Drop()

	q, err = c.Prepare(t.Context(), "echo", []byte("y"))
	require.NoError(t, err)
	next := make(chan *Pending)
	go func() {
		n, err := c.Prepare(t.Context(), "echo", []byte("z"))
		require.NoError(t, err)
		next <- n
	}()
	q.Drop()
	_, err = q.Do(t.Context())
	require.ErrorIs(t, err, ErrInvalidOperation)
	q = <-next
	require.NoError(t, c.Close())
	_, err = q.Do(t.Context())
	require.ErrorIs(t, err, ErrNotOpen)
	q.Drop()
	require.Zero(t, p.ran("y"))
}

func TestAnOpenOfAFormerInstanceCannotBeResumed(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	st := c.State()
	p.restart(t, "two")
	_, err := Resume(t.Context(), st, RunDir(p.root))
	require.ErrorIs(t, err, ErrWrongID)
}

func TestAStateThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	good := State{Name: "bank", Instance: "one", Opener: 1, Depth: 2, Window: 2, Next: 5}
	for name, spoil := range map[string]func(*State){
		"no open":           func(s *State) { s.Opener = 0 },
		"no instance":       func(s *State) { s.Instance = "" },
		"no next":           func(s *State) { s.Next = 0 },
		"not yet given":     func(s *State) { s.Pending = []Outstanding{{ID: 5}} },
		"not an ID":         func(s *State) { s.Pending = []Outstanding{{ID: 0}} },
		"beyond the window": func(s *State) { s.Pending = []Outstanding{{ID: 2}} },
		"twice":             func(s *State) { s.Pending = []Outstanding{{ID: 4}, {ID: 4}} },
		"depth":             func(s *State) { s.Depth = -1 },
		"window":            func(s *State) { s.Window = MaxDepth + 1 },
	} {
		st := good
		spoil(&st)
		_, err := Resume(t.Context(), st, RunDir(t.TempDir()))
		require.ErrorIs(t, err, ErrBadRequest, name)
	}
}
