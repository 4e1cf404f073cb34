package pair_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/control"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// handWritten is a pair that reads its inbox and checkpoints for itself: a counter, with requests that are answered later,
// in another order than they came.
type handWritten struct {
	m     *pair.Member
	count int64
	held  []*receive.Request
	seen  []string // what has come out of the inbox besides requests
}

// handDepth is its receive depth.
const handDepth = 4

func hand(ctx context.Context, cfg pair.Config) error {
	m, err := cfg.JoinInbox(ctx, "hand", receive.InboxConfig{Depth: handDepth})
	if err != nil {
		return err
	}
	h := &handWritten{m: m}
	for {
		msg, err := m.Inbox().ReadUpdate(ctx)
		if errors.Is(err, pair.ErrLeft) {
			return m.Close()
		}
		if err == nil {
			err = h.handle(msg)
		}
		if err != nil && !errors.Is(err, pair.ErrNotPrimary) {
			return errors.Join(err, m.Close())
		}
	}
}

func (h *handWritten) handle(msg receive.Message) error {
	switch msg := msg.(type) {
	case *receive.Request:
		return h.request(msg)
	case receive.FromPrimary:
		state, ok := msg.Value.(control.State)
		if !ok {
			return fmt.Errorf("unexpected %T", msg.Value)
		}
		return state.Decode(&h.count)
	case receive.Created:
		if err := h.m.Checkpoint(h.state()); err != nil {
			return err
		}
		return h.m.Synchronised()
	case receive.SwitchedOver:
		if msg.Role == receive.Backup {
			h.held = nil // their requesters ask the other member
		}
	}
	h.seen = append(h.seen, fmt.Sprintf("%T", msg))
	return nil
}

func (h *handWritten) state() control.State {
	s, err := control.StateOf("count", h.count)
	if err != nil {
		panic(err)
	}
	return s
}

func (h *handWritten) request(r *receive.Request) error {
	switch r.Method {
	case "add":
		h.count++
		return h.answer(r, h.count)
	case "hold": // answered by release
		h.held = append(h.held, r)
		return nil
	case "release":
		slices.Reverse(h.held)
		for _, q := range h.held {
			h.count++
			if err := h.answer(q, h.count); err != nil {
				return err
			}
		}
		h.held = nil
		return h.answer(r, h.count)
	case "seen":
		return h.answer(r, h.seen)
	}
	return h.m.Inbox().Reply(r.Tag, nil, receive.ErrNoMethod)
}

// answer checkpoints the state with the reply, and then replies.
func (h *handWritten) answer(r *receive.Request, v any) error {
	o, err := control.StateOf("", v)
	if err != nil {
		return err
	}
	if err := h.m.CheckpointReply(r, o.Data, nil, h.state()); err != nil {
		return err
	}
	return h.m.Inbox().Reply(r.Tag, o.Data, nil)
}

func TestAHandWrittenPairSurvivesDeathsAndSwitches(t *testing.T) {
	t.Parallel()
	p := start(t, "hand")
	c := p.Dial()
	want := int64(0)
	add := func() {
		t.Helper()
		want++
		n, err := receive.Call[int64](t.Context(), c, "add", nil)
		require.NoError(t, err)
		require.Equal(t, want, n, "broken promise: every request is applied once")
	}
	for range 5 {
		add()
		p.Kill(p.Primary())
		add()
		p.WaitProtected()
		add()
		require.NoError(t, p.Switch())
		add()
		p.WaitProtected()
		p.Kill(p.Backup())
		add()
		p.WaitProtected()
	}
}

// T6: a request is repeated, on another connection, while the original runs. It is run once and the reply goes to the
// newer one.
func TestT06ADuplicateOfARunningRequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "hand")
	first := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 8, Window: 8})
	first.send(request(1, 1, "hold", nil))
	first.send(request(1, 1, "hold", nil)) // on the same connection
	first.send(wire.Frame{Kind: wire.KindPing})

	w := first.welcome
	second := openRaw(t, p, wire.Hello{Name: p.Name(), Instance: w.Instance, Opener: w.Opener, Cookie: w.Cookie, Depth: 8, Window: 8})
	require.Equal(t, w.Opener, second.welcome.Opener, "the same open")
	second.send(request(1, 1, "hold", nil))

	n, err := receive.Call[int64](t.Context(), p.Dial(), "release", nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "broken promise: a repeated request is run once")
	f := second.next()
	require.Equal(t, wire.KindReply, f.Kind)
	require.EqualValues(t, 1, f.ID)
	require.Zero(t, f.Code(), "%s", f.Body)
	second.send(request(1, 1, "hold", nil)) // and once more, now that it is over
	again := second.next()
	require.Equal(t, f, again, "the saved reply")
	require.Empty(t, first.closed(), "broken promise: the reply goes to the newer connection")
}

// T6 with a takeover in between: the requests that the dead primary had read are read again.
func TestT06WhatADeadPrimaryHadReadIsRunByTheNextOne(t *testing.T) {
	t.Parallel()
	p := start(t, "hand")
	held := make(chan error, 2)
	c := p.Dial()
	for range cap(held) {
		go func() {
			_, err := receive.Call[int64](context.Background(), c, "hold", nil)
			held <- err
		}()
	}
	other := p.Dial()
	for range 2 {
		_, err := receive.Call[int64](t.Context(), other, "add", nil)
		require.NoError(t, err)
		p.Kill(p.WaitProtected().Primary)
	}
	p.WaitProtected()
	require.NoError(t, p.Switch())
	var n int64
	for n < 4 { // until both are held again
		var err error
		n, err = receive.Call[int64](t.Context(), other, "release", nil)
		require.NoError(t, err)
	}
	require.EqualValues(t, 4, n, "two added, two held")
	for range cap(held) {
		require.NoError(t, <-held)
	}
}

// T13: a request that is given up before it is read disappears; while it is worked on, the server is told and its reply
// goes nowhere; after the reply nothing happens.
func TestT13ACancelledRequest(t *testing.T) {
	t.Parallel()
	p := start(t, "hand")
	r := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 16, Window: 16})
	cancel := func(id uint64) wire.Frame { return wire.Frame{Kind: wire.KindCancel, ID: id} }
	seen := func(id uint64) (seen []string) {
		r.send(request(id, 1, "seen", nil))
		f := r.next()
		require.Equal(t, id, f.ID, "a cancelled request is not answered")
		decode(t, f.Body, &seen)
		return seen
	}
	n := func(f wire.Frame) (n int64) {
		decode(t, f.Body, &n)
		return n
	}

	r.send(request(1, 1, "add", nil), cancel(1)) // one packet: before it can be read
	require.NotContains(t, seen(2), "receive.Cancelled", "broken promise: a request given up unread disappears")

	r.send(request(3, 1, "hold", nil))
	require.NotContains(t, seen(4), "receive.Cancelled")
	r.send(cancel(3))
	require.Contains(t, seen(5), "receive.Cancelled", "broken promise: the server is told that nobody waits")
	r.send(request(6, 1, "release", nil))
	f := r.next()
	require.EqualValues(t, 6, f.ID, "broken promise: the reply to a cancelled request reaches nobody")
	require.EqualValues(t, 1, n(f), "it was run once, request 1 never")

	r.send(request(7, 1, "add", nil))
	require.EqualValues(t, 2, n(r.next()))
	before := seen(8)
	r.send(cancel(7))
	require.Equal(t, before, seen(9), "broken promise: after the reply a cancellation is nothing")
}

// T12: system messages that nobody read in time are lost, and the reader is told so and asks the registry.
func TestT12AnOverrunInboxSendsItsReaderToTheRegistry(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	const kept, flood = 4, 10
	in := receive.NewInbox(receive.InboxConfig{Queue: kept})
	for i := range flood {
		in.Push(receive.ProcessDeletion{Who: receive.Backup, PID: i + 1})
	}
	told := p.Status().Backup
	p.Kill(told)
	m, err := in.ReadUpdate(t.Context())
	require.NoError(t, err)
	require.Equal(t, receive.Overrun{Lost: flood - kept}, m, "broken promise: who has missed something is told first")
	s := p.WaitProtected() // what it does then: the registry knows
	require.NotEqual(t, told, s.Backup)
	require.Equal(t, kept, in.Len(), "what was not lost is still there")
}
