package drill_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/drill"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

func TestMain(m *testing.M) {
	pairtest.Main(m, pairtest.Programs{"counter": func(ctx context.Context) error {
		s := pair.New("counter")
		n := pair.Counter(s, "n")
		pair.Handle(s, "add", func(_ *pair.Call, by int64) (int64, error) { return n.Add(by), nil })
		return s.Run(ctx)
	}, "single": func(ctx context.Context) error { return pair.Config{NoSpawn: true}.New("single").Run(ctx) }})
}

func TestEveryFaultIsDoneAndNothingIsLostByIt(t *testing.T) {
	t.Parallel()
	p := pairtest.Start(t, "counter")
	c := p.Dial()
	add := func(ctx context.Context) error {
		_, err := receive.Call[int64](ctx, c, "add", 1)
		return err
	}
	var told []drill.Outcome
	all, err := drill.Config{Dir: p.Dir(), Name: "counter", Faults: []drill.Fault{drill.Kill, drill.Freeze, drill.Switch}, Times: 2, Call: add, Rate: 2000,
		Told: func(o drill.Outcome) { told = append(told, o) }}.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, all, told)
	require.Len(t, all, 6)
	seen := map[drill.Fault]int{}
	for i, o := range all {
		seen[o.Fault]++
		require.EqualValues(t, all[0].Epoch+uint32(i), o.Epoch, "broken promise: one takeover for one fault")
		require.NotNil(t, o.Load)
		require.Zero(t, o.Load.Failed, "broken promise: no request fails: %s", o.Load.Error)
		require.False(t, o.Load.Void)
		require.Positive(t, o.Load.Silence)
		require.GreaterOrEqual(t, o.Load.Longest, o.Load.Usual)
		if o.Fault != drill.Switch {
			require.Positive(t, o.Phases.Restored)
			require.GreaterOrEqual(t, o.Phases.Restored, o.Phases.Serving)
		}
	}
	require.Equal(t, map[drill.Fault]int{drill.Kill: 2, drill.Freeze: 2, drill.Switch: 2}, seen)
}

func TestAPairWithoutAClientIsDrilledToo(t *testing.T) {
	t.Parallel()
	p := pairtest.Start(t, "counter")
	all, err := drill.Config{Dir: p.Dir(), Name: "counter"}.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Nil(t, all[0].Load)
	require.Positive(t, all[0].Phases.Serving)
}

func TestAPairThatIsNotProtectedIsNotHarmed(t *testing.T) {
	t.Parallel()
	p := pairtest.StartAlone(t, "single")
	was := p.Primary()
	_, err := drill.Config{Dir: p.Dir(), Name: "single", Within: 50 * time.Millisecond}.Run(t.Context())
	require.ErrorIs(t, err, drill.ErrUnprotected)
	require.True(t, was.Alive(), "broken promise: an unprotected pair is not harmed")

	_, err = drill.Config{Dir: p.Dir(), Name: "nobody"}.Run(t.Context())
	require.ErrorIs(t, err, drill.ErrNoPair)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = drill.Config{Dir: p.Dir(), Name: "single", Within: time.Minute}.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
