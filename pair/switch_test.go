package pair_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// T15: a voluntary switch under load loses nothing, does nothing twice, and redirects nobody.
func TestT15ASwitchUnderLoadGoesUnnoticed(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 50))
		l := newLoad(t, p, 4).run(4)
		first := p.WaitProtected()
		const times = 20
		for range times * *long {
			l.await(20)
			require.NoError(t, p.Switch())
			p.WaitProtected()
		}
		s := p.WaitProtected()
		require.EqualValues(t, times**long, s.Switches, "the count of an instance goes along with it")
		require.Zero(t, s.Takeovers, "nobody died")
		require.Equal(t, first.Instance, s.Instance)
		require.Equal(t, first.Primary, s.Primary, "an even number of switches")
		require.Equal(t, first.Backup, s.Backup, "no process was replaced")
		l.finish()
		l.unbroken()
	})
}

// The same descriptors after many switches and takeovers as before them: nothing is leaked from one role to the next.
func TestRolesComeAndGoWithoutLeakingDescriptors(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	l := newLoad(t, p, 4).run(1)
	l.await(20)
	settled := func() (primary, backup int) { // the least of several looks: logs are retired beside the serving
		s := p.WaitProtected()
		primary, backup = p.Descriptors(s.Primary), p.Descriptors(s.Backup)
		for range 100 {
			l.await(1)
			time.Sleep(time.Millisecond)
			primary, backup = min(primary, p.Descriptors(s.Primary)), min(backup, p.Descriptors(s.Backup))
		}
		return primary, backup
	}
	require.NoError(t, p.Switch()) // both have been in both roles
	require.NoError(t, p.Switch())
	primary, backup := settled()
	for range 10 {
		require.NoError(t, p.Switch())
		p.WaitProtected()
	}
	const spare = 1 // a log made ahead of time may be there or not; ten leaks would be ten
	primaryNow, backupNow := settled()
	require.LessOrEqual(t, primaryNow, primary+spare, "broken promise: no descriptor is leaked by a switch")
	require.LessOrEqual(t, backupNow, backup+spare, "broken promise: no descriptor is leaked by a switch")
	for range 4 {
		p.Kill(p.WaitProtected().Backup)
	}
	for range 2 {
		p.Kill(p.WaitProtected().Primary)
	}
	primaryNow, backupNow = settled()
	const child = 1 // its pidfd
	require.LessOrEqual(t, primaryNow, primary+spare+child, "broken promise: no descriptor is leaked by a takeover")
	require.LessOrEqual(t, backupNow, backup+spare, "broken promise: no descriptor is leaked by a takeover")
	l.finish()
}

// Requesters that come in the moment of a switch find whoever is primary then.
func TestRequestersThatComeDuringASwitchAreWelcomed(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var comers sync.WaitGroup
	errs := make(chan error, 4)
	opened := make(chan struct{}, 1<<16)
	for range cap(errs) {
		comers.Go(func() { errs <- comeAndGo(ctx, p, opened) })
	}
	for range 20 * *long {
		for range 4 {
			<-opened
		}
		require.NoError(t, p.Switch())
		p.WaitProtected()
	}
	stop()
	comers.Wait()
	for range cap(errs) {
		require.NoError(t, <-errs, "broken promise: a switch refuses nobody")
	}
}

// comeAndGo opens and closes a pair again and again. An open may take two seconds; a switch takes less than one millisecond.
func comeAndGo(ctx context.Context, p *pairtest.Pair, opened chan<- struct{}) error {
	for ctx.Err() == nil {
		c, err := receive.Dial(context.Background(), p.Name(), receive.RunDir(p.Dir()), receive.RetryFor(patience/2))
		if err != nil {
			return err
		}
		_, err = receive.Call[int64](context.Background(), c, "get", "x")
		err = errors.Join(err, c.Close())
		if err != nil {
			return err
		}
		select {
		case opened <- struct{}{}:
		default:
		}
	}
	return nil
}

// A requester that does not read its replies gets them all the same when the roles have changed meanwhile.
func TestASlowReaderLosesNoReplyToASwitch(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	r := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 256, Window: 256})
	const many = 40 // replies that fit no socket buffer: the pair answers some, and leaves the other requests unread
	for id := uint64(1); id <= many; id++ {
		r.send(bigEntry(id))
	}
	p.WaitStatus("some to be answered", func(s pairtest.Status) bool { return s.Requests >= 6 })
	require.NoError(t, p.Switch())

	answered := map[uint64]bool{}
	for len(answered) < many {
		f, ok := r.pollOrEnd()
		switch {
		case !ok: // cut: it comes back for what it has not got
			r = openRaw(t, p, wire.Hello{Name: p.Name(), Instance: r.welcome.Instance, Opener: r.welcome.Opener, Cookie: r.welcome.Cookie})
			r.repeatUnanswered(many, answered)
		case f.Kind == wire.KindNotice && f.Flags&wire.FlagPlanned == 0:
			r.repeatUnanswered(many, answered)
		case f.Kind == wire.KindReply:
			require.Zero(t, f.Code(), "%s", f.Body)
			answered[f.ID] = true
		}
	}
}

func bigEntry(id uint64) wire.Frame {
	return request(id, 1, "enter", Entry{Client: 1, N: int(id), Size: 30 << 10})
}

func (r *raw) repeatUnanswered(many uint64, answered map[uint64]bool) {
	r.t.Helper()
	for id := uint64(1); id <= many; id++ {
		if !answered[id] {
			r.send(bigEntry(id))
		}
	}
}

// Either member dies at some moment of a planned switch.
func TestADeathDuringASwitchLosesNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envHang, "250ms"))
		l := newLoad(t, p, 2).run(3)
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 0))
		for range 6 * *long {
			s := p.WaitProtected()
			l.await(10)
			doomed := []pairtest.Member{s.Primary, s.Backup}[rng.IntN(2)]
			switched := make(chan error, 1)
			go func() { switched <- p.Switch() }()
			spin(rng.IntN(2000))
			p.Kill(doomed)
			<-switched // with an error or without
		}
		p.WaitProtected()
		l.finish()
	})
}

// spin lets a random little time pass, in microseconds.
func spin(us int) {
	for end := monotonic() + int64(us)*1000; monotonic() < end; {
	}
}
