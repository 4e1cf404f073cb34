package pair_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// The scenarios that NonStop's manuals tell, by their numbers in this project's notes. T1 is examples/purchase; T6, T12
// and T13 are in hand_test.go, T15 in switch_test.go, T16 and T18 in members_test.go and timer_test.go, T19 in random_test.go.

func enter(t *testing.T, c *receive.Conn, e Entry) (Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return receive.Call[Receipt](ctx, c, "enter", e)
}

// times says how often entry n of a client was made.
func times(t *testing.T, c *receive.Conn, client, n int) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	made, err := receive.Call[[]Made](ctx, c, "made", Question{client, n})
	require.NoError(t, err)
	if len(made) == 0 {
		return 0
	}
	return made[0].Times
}

// T2: an append whose server dies after it was made and before it was answered, and a requester that then repeats it. With
// sync depth 0 the record is there twice, with 1 once (Guardian Programmer's Guide 27-16).
func TestT02AnAppendRepeatedWithoutSyncDepthIsMadeTwice(t *testing.T) {
	t.Parallel()
	for depth, want := range []int64{2, 1} {
		t.Run(fmt.Sprint("depth ", depth), func(t *testing.T) {
			t.Parallel()
			p := start(t, "ledger", set(envPoint, int(pair.PointAppended)), set(envAtOnce, 2)) // 1 is the welcome
			c := p.Dial(receive.SyncDepth(depth))
			_, err := enter(t, c, Entry{Client: 1})
			if depth == 0 {
				require.ErrorIs(t, err, receive.ErrPathDown)
				require.True(t, receive.MayBeApplied(err), "broken promise: the error says that the request may have been applied")
				_, err = enter(t, c, Entry{Client: 1}) // as a program does that knows no better
			}
			require.NoError(t, err)
			require.Equal(t, want, times(t, c, 1, 0))
		})
	}
}

// prepared opens p with sync depth 3 and prepares three entries, so that their sync IDs can be checkpointed.
func prepared(t *testing.T, p *pairtest.Pair, client int) (c *receive.Conn, three []*receive.Pending, st receive.State) {
	t.Helper()
	c = p.Dial(receive.SyncDepth(3), receive.Window(3))
	for n := range 3 {
		body, err := msgpack.Marshal(Entry{Client: client, N: n})
		require.NoError(t, err)
		q, err := c.Prepare(t.Context(), "enter", body)
		require.NoError(t, err)
		three = append(three, q)
	}
	return c, three, c.State()
}

func resumed(t *testing.T, p *pairtest.Pair, st receive.State) *receive.Conn {
	t.Helper()
	c, err := receive.Resume(t.Context(), st, receive.RunDir(p.Dir()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// T3: a requester with sync depth 3 checkpoints once and dies after 0, 1, 2 or 3 of its three writes; its backup does all
// three again. So many are duplicates, answered from the saved replies (Guardian Programmer's Guide 21-7). The server changes
// hands meanwhile.
func TestT03ARequesterRepeatsWhatItMayHaveDone(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	for done := range 4 {
		_, three, st := prepared(t, p, done+1)
		var told [][]byte
		for _, q := range three[:done] {
			reply, err := q.Do(t.Context())
			require.NoError(t, err)
			told = append(told, reply)
		}
		p.Kill(p.WaitProtected().Primary)
		backup := resumed(t, p, st)
		for n, q := range st.Pending {
			reply, err := backup.Reissue(t.Context(), q.ID)
			require.NoError(t, err)
			require.EqualValues(t, 1, times(t, backup, done+1, n), "broken promise: write %d was made once, %d were done before", n+1, done)
			if n < done {
				require.Equal(t, told[n], reply, "broken promise: a duplicate is answered with the saved reply, to the byte")
			}
		}
	}
}

// T4: the same with four writes after the checkpoint: that breaks the contract, and the first one is refused, never run twice.
func TestT04OneWriteTooManyIsTooOldAndNotRunAgain(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	c, three, st := prepared(t, p, 1)
	for _, q := range three {
		_, err := q.Do(t.Context())
		require.NoError(t, err)
	}
	_, err := enter(t, c, Entry{Client: 1, N: 3})
	require.NoError(t, err)
	p.Kill(p.WaitProtected().Primary)

	backup := resumed(t, p, st)
	_, err = backup.Reissue(t.Context(), st.Pending[0].ID)
	require.ErrorIs(t, err, receive.ErrTooOld)
	for _, q := range st.Pending[1:] {
		_, err = backup.Reissue(t.Context(), q.ID)
		require.NoError(t, err)
	}
	_, err = enter(t, backup, Entry{Client: 1, N: 3}) // what came after the checkpoint is done again, the same and in order
	require.NoError(t, err)
	for n := range 4 {
		require.EqualValues(t, 1, times(t, backup, 1, n), "broken promise: no request is run twice; entry %d", n)
	}
}

// T5: three requests under way when their requester dies. Its backup issues them again with their sync IDs: once each; or
// as new requests: twice each (Advanced Guardian 7-19).
func TestT05RequestsUnderWayKeepTheirIDs(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	_, three, st := prepared(t, p, 1)
	ended := make(chan error, 3)
	for _, q := range three {
		go func() {
			_, err := q.Do(context.Background())
			ended <- err
		}()
	}
	for range three {
		require.NoError(t, <-ended)
	}
	backup := resumed(t, p, st)
	for n, q := range st.Pending {
		_, err := backup.Reissue(t.Context(), q.ID)
		require.NoError(t, err)
		require.EqualValues(t, 1, times(t, backup, 1, n))
	}
	for n := range st.Pending {
		_, err := enter(t, backup, Entry{Client: 1, N: n})
		require.NoError(t, err)
		require.EqualValues(t, 2, times(t, backup, 1, n), "without its ID it is another request")
	}
}

// T7: with sync depth 0 the call that was under way ends with error 201, and the next one reaches the new primary.
func TestT07WithoutSyncDepthTheCallerIsTold(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envPoint, int(pair.PointRead)), set(envAtOnce, 1))
	c := p.Dial(receive.SyncDepth(0))
	_, err := enter(t, c, Entry{Client: 1})
	require.ErrorIs(t, err, receive.ErrPathDown)
	require.True(t, receive.MayBeApplied(err))
	_, err = enter(t, c, Entry{Client: 1, N: 1})
	require.NoError(t, err)
	require.Zero(t, times(t, c, 1, 0))
	require.EqualValues(t, 1, times(t, c, 1, 1))
}

// T8: both members die and somebody starts the name again: it is another instance, and those who had the old one open are
// told so.
func TestT08AfterBothMembersDiedRequestersAreToldSo(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	c := p.Dial()
	_, err := enter(t, c, Entry{Client: 1})
	require.NoError(t, err)
	before := p.WaitProtected()
	p.Freeze(before.Backup) // so that it does nothing in between
	p.Kill(before.Primary)
	p.Kill(before.Backup)
	idle := p.Status()
	require.Equal(t, before.Instance, idle.Instance, "nobody is left to say anything new")

	p.Launch()
	after := p.WaitProtected()
	require.NotEqual(t, before.Instance, after.Instance, "broken promise: a pair made from nothing is a new instance")
	_, err = enter(t, c, Entry{Client: 1, N: 1})
	require.ErrorIs(t, err, receive.ErrWrongID)
	again := p.Dial()
	require.Zero(t, times(t, again, 1, 0), "nothing of the old instance is left")
}

// T9: a requester that slept through changes of roles. Its request, under an old epoch, is served by whoever is primary,
// once, and it need not open again.
func TestT09AStaleRequesterIsServedByTheNewPrimary(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	r := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 8})
	require.NoError(t, p.Switch())
	p.Kill(p.WaitProtected().Primary)
	p.WaitProtected()
	require.NoError(t, p.Switch())
	p.WaitProtected()

	require.EqualValues(t, 1, r.welcome.Epoch)
	r.send(request(1, 1, "enter", Entry{Client: 1}), request(1, 1, "enter", Entry{Client: 1}))
	var replies []wire.Frame
	for len(replies) < 2 {
		if f := r.next(); f.Kind == wire.KindReply {
			replies = append(replies, f)
		}
	}
	require.Equal(t, replies[0], replies[1])
	require.EqualValues(t, 4, r.welcome.Epoch, "what a primary says bears its epoch")
	require.EqualValues(t, 1, times(t, p.Dial(), 1, 0))
}

// T10: requests wait for a primary that stands still, and reach the backup before the news of its death.
func TestT10RequestsAheadOfTheNewsOfADeathAreServedOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	r := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 64, Window: 64})
	const many = 20
	for id := uint64(1); id <= many; id++ { // the last ones are in the socket when it stops
		r.send(request(id, 1, "enter", Entry{Client: 1, N: int(id - 1)}))
		if id == many/2 {
			p.Freeze(p.Primary())
		}
	}
	p.Kill(p.Primary())
	answered := map[uint64]bool{}
	for len(answered) < many {
		switch f := r.next(); f.Kind {
		case wire.KindReply:
			answered[f.ID] = true
		case wire.KindNotice:
			for id := uint64(1); id <= many; id++ {
				r.send(request(id, 1, "enter", Entry{Client: 1, N: int(id - 1)}))
			}
		}
	}
	c := p.Dial()
	for n := range many {
		require.EqualValues(t, 1, times(t, c, 1, n), "broken promise: every request is applied once; entry %d", n)
	}
}

// T11: the primary dies while its backup is being filled. Half a state never serves: the name is free again, and who starts
// it gets a new instance.
func TestT11HalfAStateNeverServes(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envLog, 64<<10))
	c := p.Dial()
	for n := range 400 { // some megabytes, through a log of 64 KiB
		_, err := enter(t, c, Entry{Client: 1, N: n, Size: 5 << 10})
		require.NoError(t, err)
	}
	before := p.WaitProtected()
	p.Kill(before.Backup)
	var half pairtest.Member
	p.WaitStatus("a backup that is being filled", func(s pairtest.Status) bool {
		half = s.Backup
		return half != before.Backup && half != pairtest.Member{} && !s.Protected
	})
	p.Freeze(half)
	s := p.Status()
	if s.Protected && s.Backup == half {
		t.Skip("the backup was filled too fast")
	}
	p.Kill(before.Primary)
	p.Thaw(half)
	p.WaitDead(half) // it says ErrNotSynchronised, or had not even begun to read the log

	p.Launch()
	require.NotEqual(t, before.Instance, p.WaitProtected().Instance)
	_, err := enter(t, c, Entry{Client: 2})
	require.ErrorIs(t, err, receive.ErrWrongID)
}

// T14: a requester pair whose backup takes the open over while its primary still has it: the same open, its duplicates known.
func TestT14TheBackupOfARequesterUsesTheSameOpen(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	primary, three, st := prepared(t, p, 1)
	for _, q := range three[:2] {
		_, err := q.Do(t.Context())
		require.NoError(t, err)
	}
	backup := resumed(t, p, st)
	require.Equal(t, st.Opener, backup.State().Opener, "broken promise: it is the same open")
	for n, q := range st.Pending {
		_, err := backup.Reissue(t.Context(), q.ID)
		require.NoError(t, err)
		require.EqualValues(t, 1, times(t, backup, 1, n), "broken promise: duplicates are known by their sync IDs")
	}
	require.Equal(t, primary.Instance(), backup.Instance())
}

// T17: who computes what, counted and not timed. Where the primary computes, the backup runs no handler; where the backup
// does so eagerly, it has run all of them before the takeover; lazily, at the takeover those since the last snapshot.
func TestT17WhoComputes(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		const requests, every = 250, 100
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, every))
		c := p.Dial()
		for n := range requests {
			_, err := enter(t, c, Entry{Client: 1, N: n})
			require.NoError(t, err)
		}
		want := map[pair.Mode][2]int{ // handlers run on the backup: before the takeover, and after it
			pair.PrimaryComputes: {0, 0},
			pair.BackupEager:     {requests, requests},
			pair.BackupLazy:      {0, requests % every},
		}[mode]
		s := p.WaitProtected()
		waitRuns(t, p, s.Backup, want[0])
		p.Kill(s.Primary)
		require.EqualValues(t, 1, times(t, c, 1, requests-1))
		waitRuns(t, p, s.Backup, want[1])
	})
}

// waitRuns asks a member how many entries its handler has made until it says so many: a backup reads at its leisure.
func waitRuns(t *testing.T, p *pairtest.Pair, m pairtest.Member, want int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		asked := len(p.Log())
		p.Signal(m, unix.SIGUSR2)
		p.WaitLogs("ran ", strings.Count(p.Log()[:asked], "ran ")+1)
		if strings.Contains(p.Log()[asked:], fmt.Sprintf("%d ran %d entries", m.PID, want)) {
			return
		}
		require.True(t, time.Now().Before(end), "member %v should have made %d entries; %s", m, want, p.Log()[asked:])
	}
}
