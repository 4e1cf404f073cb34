package load

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// server answers after a while, one request at a time; from one moment to another it answers nothing.
type server struct {
	busy     chan struct{} // not a mutex: who waits for one holds up a bubble's time
	work     time.Duration
	began    time.Time
	from, to time.Duration // of the outage
}

func (s *server) Do(int) (uint64, error) {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	time.Sleep(s.work)
	if now := time.Since(s.began); now >= s.from && now < s.to {
		time.Sleep(s.to - now)
	}
	return 1, nil
}

// run makes load for so long, in a bubble of its own time.
func run(t testing.TB, cfg Config, d time.Duration) *Result {
	cfg.Sleep = time.Sleep
	stop := make(chan struct{})
	time.AfterFunc(d-time.Microsecond, func() { close(stop) }) // not in the moment of a request
	r, err := Run(context.Background(), cfg, stop)
	require.NoError(t, err)
	slices.SortFunc(r.Replies, func(a, b Reply) int { return int(a.Intended - b.Intended) })
	return r
}

func TestRequestsAreIntendedAtAFixedRateWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{busy: make(chan struct{}, 1), began: time.Now(), work: 100 * time.Microsecond, from: 20 * time.Millisecond, to: 70 * time.Millisecond}
		cfg := Config{Rate: 1000, Clients: []Client{s, s, s, s}}
		r := run(t, cfg, 100*time.Millisecond)
		require.Len(t, r.Replies, 100, "broken promise: an outage makes no request disappear")
		for i, p := range r.Replies {
			require.Equal(t, cfg.Intended(i), p.Intended, "broken promise: when a request is to be sent depends on its number alone")
		}
		require.EqualValues(t, 100, r.Waits.N())
	})
}

func TestAnOutageShowsWithEveryRequestThatFellIntoIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{busy: make(chan struct{}, 1), began: time.Now(), work: time.Microsecond, from: 20 * time.Millisecond, to: 70 * time.Millisecond}
		r := run(t, Config{Rate: 1000, Clients: []Client{s}}, 100*time.Millisecond)
		late := 0
		for _, p := range r.Replies {
			if p.Wait() >= time.Millisecond {
				late++
			}
		}
		require.InDelta(t, 50, late, 2, "broken promise: all requests of 50 ms waited, not only the one that was under way")
		require.InDelta(t, float64(50*time.Millisecond), float64(r.Worst.Wait()), float64(time.Millisecond))
	})
}

func TestLoadThatIsLateMakesUpForItAndTellsSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{busy: make(chan struct{}, 1), began: time.Now(), work: time.Microsecond}
		stop := make(chan struct{})
		slept := 0
		cfg := Config{Rate: 1000, Clients: []Client{s}, Sleep: func(d time.Duration) {
			if slept++; slept == 10 {
				d += 30 * time.Millisecond // the machine was busy
			}
			if time.Sleep(d); slept == 50 {
				close(stop)
			}
		}}
		r, err := Run(t.Context(), cfg, stop)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(r.Replies), 75, "broken promise: what was missed is sent at once")
		require.GreaterOrEqual(t, r.Late.Max(), 30*time.Millisecond)
		require.GreaterOrEqual(t, r.Worst.Wait(), 30*time.Millisecond, "broken promise: that the load was late is part of the wait")
	})
}

func TestARunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := Run(ctx, Config{Rate: 100, Clients: []Client{&server{busy: make(chan struct{}, 1), began: time.Now()}}, Sleep: time.Sleep}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

type refusing struct{}

var errRefused = errors.New("refused")

func (refusing) Do(int) (uint64, error) { return 0, errRefused }

func TestErrorsAreCountedAndNotTimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Config{Rate: 1000, Clients: []Client{refusing{}, &server{busy: make(chan struct{}, 1), began: time.Now()}}}, 20*time.Millisecond)
		require.Equal(t, 10, r.Errors)
		require.ErrorIs(t, r.Err, errRefused)
		require.EqualValues(t, 10, r.Waits.N())
	})
}

func TestLoadWithoutClientsOrRateIsRefused(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{Rate: 1}, {Clients: []Client{refusing{}}}} {
		_, err := Run(t.Context(), cfg, nil)
		require.ErrorContains(t, err, "cannot make load")
	}
}

func TestAClosedLoopCountsWhatIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{busy: make(chan struct{}, 1), began: time.Now(), work: time.Millisecond}
		rate, waits, err := Closed([]Client{s, s}, 100*time.Millisecond)
		require.NoError(t, err)
		require.InDelta(t, 1000, rate, 30)
		require.InDelta(t, 100, waits.N(), 3)
		_, _, err = Closed([]Client{refusing{}}, time.Second)
		require.ErrorIs(t, err, errRefused)
	})
}

// replies of a client that asks every period, of a server that is away from the fault on.
func replies(n int, period, service, fault, gap time.Duration) (all []Reply) {
	for i := range n {
		p := Reply{Intended: time.Duration(i) * period, Who: 1}
		p.Done = p.Intended + service
		if p.Done > fault {
			p.Done, p.Who = max(p.Done, fault+gap), 2
		}
		all = append(all, p)
	}
	return all
}

func second(p *Reply) bool { return p.Who == 2 }

func TestTheGapGoesFromTheFaultToTheFirstReplyOfTheNextPrimary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		period := time.Duration(rapid.IntRange(10, 1000).Draw(t, "period µs")) * time.Microsecond
		gap := time.Duration(rapid.IntRange(1, 100_000).Draw(t, "gap µs")) * time.Microsecond
		fault := 50*period + time.Duration(rapid.IntRange(0, 999).Draw(t, "fault"))*period/1000
		service := period / 4
		all := replies(int((fault+gap)/period)+10, period, service, fault, gap)
		rapid.Permutation(all).Draw(t, "order")
		o := FindOutage(all, fault, second)
		require.True(t, o.Found)
		require.GreaterOrEqual(t, o.Gap, gap)
		require.LessOrEqual(t, o.Gap, gap+period+service, "broken promise: nothing but the period of the load is added")
		require.LessOrEqual(t, o.Seen, o.Gap)
		require.LessOrEqual(t, o.Seen, max(gap, service))
		require.GreaterOrEqual(t, o.Worst, o.Seen)
		require.GreaterOrEqual(t, o.Silence, o.Gap, "the last reply was before the fault")
		require.Equal(t, o.Before, len(slices.DeleteFunc(slices.Clone(all), func(p Reply) bool { return p.Done > fault })))
	})
}

func TestAReplyThatTheOldPrimaryHadSentIsNotTheFirst(t *testing.T) {
	t.Parallel()
	all := []Reply{{Done: 10, Who: 1}, {Done: 25, Who: 1}, {Done: 30, Who: 2}}
	o := FindOutage(all, 20, second)
	require.Equal(t, Outage{Before: 1, Gap: 10, Seen: 10, Silence: 5, Worst: 30, Found: true}, o)
	require.False(t, FindOutage(all[:2], 20, second).Found)
	require.False(t, FindOutage([]Reply{{Done: 30, Who: 2, Err: errRefused}}, 20, second).Found, "an error is no reply")
}

func TestAFaultWithoutTrafficBeforeItIsVoid(t *testing.T) {
	t.Parallel()
	const period, fault = time.Millisecond, 100 * time.Millisecond
	cfg := &Config{Rate: 1000}
	full := replies(200, period, period/10, fault, time.Millisecond)
	require.Empty(t, Void(full, fault, cfg))

	few := slices.DeleteFunc(slices.Clone(full), func(p Reply) bool { return p.Intended < 85*time.Millisecond })
	require.Contains(t, Void(few, fault, cfg), "at least 20 make a measurement")
	require.NotEmpty(t, Void(nil, fault, cfg))

	thin := slices.DeleteFunc(slices.Clone(full), func(p Reply) bool { return p.Intended/period%3 != 0 })
	require.Contains(t, Void(thin, fault, cfg), "where 100 were intended")

	quiet := slices.DeleteFunc(slices.Clone(full), func(p Reply) bool { return p.Intended > 70*time.Millisecond })
	require.Contains(t, Void(quiet, fault, cfg), "no reply in the last", "broken promise: a service that was away before the fault measures nothing")

	for i := range full {
		full[i].Err = errRefused
	}
	require.NotEmpty(t, Void(full, fault, cfg), "broken promise: errors are no traffic")
}
