package receive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// outbox collects what an inbox delivers.
type outbox struct {
	mu      sync.Mutex
	replies []Reply
}

func (o *outbox) deliver(r Reply) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replies = append(o.replies, r)
	return nil
}

func (o *outbox) take() []Reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.replies
	o.replies = nil
	return r
}

func request(id uint64) *Request { return &Request{Opener: 1, SyncID: id} }

func readUpdate(t require.TestingT, in *Inbox) Message {
	m, err := in.ReadUpdate(context.Background())
	require.NoError(t, err)
	return m
}

func readRequest(t require.TestingT, in *Inbox) *Request {
	r, ok := readUpdate(t, in).(*Request)
	require.True(t, ok, "a request must come next")
	return r
}

func TestReadCompletesTheExchange(t *testing.T) {
	t.Parallel()
	var out outbox
	in := NewInbox(InboxConfig{Depth: -1, Reply: out.deliver})
	in.Push(request(1))
	_, err := in.ReadUpdate(context.Background())
	require.ErrorIs(t, err, ErrInvalidOperation, "there is no update without receive depth")
	m, err := in.Read(context.Background())
	require.NoError(t, err)
	require.Equal(t, -1, m.(*Request).Tag)
	require.Equal(t, []Reply{{To: m}}, out.take())
	require.ErrorIs(t, in.Reply(0, nil, nil), ErrInvalidOperation)
}

func TestRepliesGoOutInAnyOrderAndTagsComeBack(t *testing.T) {
	t.Parallel()
	var out outbox
	in := NewInbox(InboxConfig{Depth: 3, Reply: out.deliver})
	for id := uint64(1); id <= 4; id++ {
		in.Push(request(id))
	}
	var tags []int
	for range 3 {
		tags = append(tags, readRequest(t, in).Tag)
	}
	require.ElementsMatch(t, []int{0, 1, 2}, tags)
	_, err := in.ReadUpdate(context.Background())
	require.ErrorIs(t, err, ErrDepth)
	in.Push(Timeout{Tag: 5})
	require.Equal(t, Timeout{Tag: 5}, readUpdate(t, in), "a message that needs no tag is read even at full depth")

	require.NoError(t, in.Reply(tags[1], []byte("two"), nil))
	require.ErrorIs(t, in.Reply(tags[1], nil, nil), ErrInvalidOperation, "a reply can be given once")
	require.Equal(t, tags[1], readRequest(t, in).Tag, "the tag is free again")
	require.NoError(t, in.Reply(tags[2], nil, ErrNoMethod))
	require.NoError(t, in.Reply(tags[0], nil, nil))
	got := out.take()
	require.Equal(t, uint64(2), got[0].To.(*Request).SyncID)
	require.Equal(t, "two", string(got[0].Data))
	require.Equal(t, uint64(3), got[1].To.(*Request).SyncID)
	require.ErrorIs(t, got[1].Err, ErrNoMethod)
	require.Equal(t, uint64(1), got[2].To.(*Request).SyncID)
	require.Zero(t, in.Len())
}

func TestEarlyMessagesComeBeforeRequests(t *testing.T) {
	t.Parallel()
	in := NewInbox(InboxConfig{Depth: 2})
	in.Push(request(1))
	in.Push(FromPrimary{Value: "state"})
	in.PushFront(ProcessDeletion{Who: Primary, PID: 7})
	in.PushFront(Timeout{Tag: 1})
	require.Equal(t, ProcessDeletion{Who: Primary, PID: 7}, readUpdate(t, in))
	require.Equal(t, Timeout{Tag: 1}, readUpdate(t, in))
	require.Equal(t, uint64(1), readRequest(t, in).SyncID)
	require.Equal(t, FromPrimary{Value: "state"}, readUpdate(t, in))
}

func TestPriorityOrderIsFirstComeFirstServedAmongEquals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := NewInbox(InboxConfig{Depth: 100, Priority: true})
		prios := rapid.SliceOfN(rapid.Uint8(), 0, 100).Draw(t, "priorities")
		for i, p := range prios {
			in.Push(&Request{SyncID: uint64(i), Priority: p})
		}
		var last *Request
		for range prios {
			r := readRequest(t, in)
			if last != nil {
				require.GreaterOrEqual(t, last.Priority, r.Priority)
				if last.Priority == r.Priority {
					require.Less(t, last.SyncID, r.SyncID)
				}
			}
			last = r
		}
		require.Zero(t, in.Len())
	})
}

func TestOpensAreSeenOnlyOnDemand(t *testing.T) {
	t.Parallel()
	var out outbox
	in := NewInbox(InboxConfig{Reply: out.deliver})
	in.Push(Open{})
	in.Push(Close{})
	require.Zero(t, in.Len())
	require.Equal(t, []Reply{{To: Open{}}}, out.take(), "an open nobody looks at is granted")

	in = NewInbox(InboxConfig{System: true, Reply: out.deliver})
	in.Push(Open{Identity: Identity{PID: 7}})
	in.Push(Close{Opener: 9})
	o := readUpdate(t, in).(Open)
	require.Equal(t, 7, o.Identity.PID)
	require.Empty(t, out.take(), "the open waits for the reply")
	require.Equal(t, Close{Opener: 9}, readUpdate(t, in))
	require.NoError(t, in.Reply(o.Tag, nil, ErrInUse))
	require.ErrorIs(t, out.take()[0].Err, ErrInUse)
}

// T13, §6.3: cancelled before it is read, while it is processed, after its reply.
func TestCancellation(t *testing.T) {
	t.Parallel()
	var out outbox
	in := NewInbox(InboxConfig{Depth: 2, Reply: out.deliver})
	in.Push(request(1))
	in.Push(request(2))
	require.True(t, in.Cancel(1, 1), "an unread request disappears")
	r := readRequest(t, in)
	require.Equal(t, uint64(2), r.SyncID)
	gone, err := in.Cancelled(r.Tag)
	require.NoError(t, err)
	require.False(t, gone)

	require.False(t, in.Cancel(1, 2))
	require.False(t, in.Cancel(1, 2), "the second cancellation says nothing new")
	require.Equal(t, 1, in.Len())
	require.Equal(t, Cancelled{Tag: r.Tag, Opener: 1, SyncID: 2}, readUpdate(t, in))
	gone, err = in.Cancelled(r.Tag)
	require.NoError(t, err)
	require.True(t, gone)
	require.NoError(t, in.Reply(r.Tag, []byte("late"), nil), "the reply is still due")
	require.Equal(t, []Reply{{To: r, Data: []byte("late"), Cancelled: true}}, out.take())

	require.False(t, in.Cancel(1, 2))
	require.Zero(t, in.Len(), "after the reply there is nothing to cancel")
	_, err = in.Cancelled(r.Tag)
	require.ErrorIs(t, err, ErrInvalidOperation)
}

func TestNewsOfACancellationDoNotOutliveTheirTag(t *testing.T) {
	t.Parallel()
	in := NewInbox(InboxConfig{})
	in.Push(request(1))
	r := readRequest(t, in)
	in.Cancel(1, 1)
	require.NoError(t, in.Reply(r.Tag, nil, nil))
	in.Push(request(2))
	require.Equal(t, uint64(2), readRequest(t, in).SyncID, "the tag is in use again, its old cancellation must not be read")
}

// T6: a duplicate arrives while the original is running in a server that runs
// several requests at once: one execution, and the reply goes to the new tag.
func TestADuplicateOfARunningRequestTakesItsReplyOver(t *testing.T) {
	t.Parallel()
	var out outbox
	in := NewInbox(InboxConfig{Depth: 2, Reply: out.deliver})
	var openers Openers
	o := open(t, &openers, Identity{Depth: 2})
	executed, working := 0, make(map[uint64]int) // sync ID to tag
	serve := func() {
		r := readRequest(t, in)
		switch openers.Decide(r.Opener, r.SyncID, r.Low) {
		case Run:
			o.Begin(r.SyncID)
			executed++
		case Running:
			require.NoError(t, in.Release(working[r.SyncID]))
		}
		working[r.SyncID] = r.Tag
	}
	first, second := request(1), request(1)
	in.Push(first)
	serve()
	in.Push(second)
	serve()
	o.Save(1, 0, []byte("done"))
	require.NoError(t, in.Reply(working[1], []byte("done"), nil))
	require.Equal(t, 1, executed)
	replies := out.take()
	require.Len(t, replies, 1)
	require.Same(t, second, replies[0].To, "the reply must go to where the duplicate came from")
	require.ErrorIs(t, in.Release(first.Tag), ErrInvalidOperation, "the old tag is free")
}

// T12: a flood of system messages.
func TestOverrunSaysThatSystemMessagesWereLost(t *testing.T) {
	t.Parallel()
	in := NewInbox(InboxConfig{Depth: 100, Queue: 3, System: true})
	for i := range 10 {
		in.Push(Created{PID: i})
		in.Push(request(uint64(i)))
		in.Push(Close{Opener: uint64(i)})
	}
	require.Equal(t, Overrun{Lost: 7}, readUpdate(t, in))
	var created, requests, closes int
	for in.Len() > 0 {
		switch readUpdate(t, in).(type) {
		case Created:
			created++
		case *Request:
			requests++
		case Close:
			closes++
		}
	}
	require.Equal(t, []int{3, 10, 10}, []int{created, requests, closes}, "requests and closes are never lost")
	in.Push(Created{})
	require.Equal(t, Created{}, readUpdate(t, in), "once read there is room again")
}

func TestAReaderWaitsForAPush(t *testing.T) {
	t.Parallel()
	in := NewInbox(InboxConfig{Depth: 10})
	got := make(chan Message)
	for range 3 {
		go func() {
			m, err := in.ReadUpdate(t.Context())
			if err == nil {
				got <- m
			}
		}()
	}
	seen := make(map[uint64]bool)
	for id := uint64(1); id <= 3; id++ {
		in.Push(request(id))
		seen[(<-got).(*Request).SyncID] = true
	}
	require.Len(t, seen, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := in.ReadUpdate(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestOneReaderAtATimePumps(t *testing.T) {
	t.Parallel()
	const messages, readers = 200, 4
	var in *Inbox
	var inside, next atomic.Int64
	errEnd := errors.New("end")
	in = NewInbox(InboxConfig{Depth: readers, Pump: func(context.Context) error {
		require.Equal(t, int64(1), inside.Add(1), "two readers pump at a time")
		defer inside.Add(-1)
		if n := next.Add(1); n <= messages {
			in.Push(request(uint64(n)))
			return nil
		}
		return errEnd
	}})
	var wg sync.WaitGroup
	var read atomic.Int64
	for range readers {
		wg.Go(func() {
			for {
				m, err := in.ReadUpdate(context.Background())
				if err != nil {
					require.ErrorIs(t, err, errEnd)
					return
				}
				read.Add(1)
				require.NoError(t, in.Reply(m.(*Request).Tag, nil, nil))
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(messages), read.Load())
}

func TestAPanickingPumpDoesNotLockTheOthersOut(t *testing.T) {
	t.Parallel()
	fail := true
	var in *Inbox
	in = NewInbox(InboxConfig{Pump: func(context.Context) error {
		if fail {
			panic("test")
		}
		in.Push(request(1))
		return nil
	}})
	require.Panics(t, func() { _, _ = in.ReadUpdate(context.Background()) })
	fail = false
	require.Equal(t, uint64(1), readRequest(t, in).SyncID)
}

func TestAFailedDeliveryIsReported(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	in := NewInbox(InboxConfig{Reply: func(Reply) error { return errGone }})
	in.Push(request(1))
	require.ErrorIs(t, in.Reply(readRequest(t, in).Tag, nil, nil), errGone)
	in.Push(request(2))
	_, err := in.Read(context.Background())
	require.ErrorIs(t, err, errGone)
}

func TestSystemMessagesHaveTheirNumbers(t *testing.T) {
	t.Parallel()
	numbers := map[System]int{
		Overrun{}: -13, Timeout{}: -22, ResetSync{}: -34, Cancelled{}: -38, ProcessDeletion{}: -101, Created{}: -102,
		Open{}: -103, Close{}: -104, BackupSynchronised{}: -1001, SwitchedOver{}: -1002, Stopping{}: -1003,
	}
	for m, n := range numbers {
		require.Equal(t, n, m.Number(), "%T", m)
	}
	require.Equal(t, "primary backup none", fmt.Sprint(Primary, " ", Backup, " ", Role(0)))
}
