package pairtest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

func TestMain(m *testing.M) {
	pairtest.Main(m, pairtest.Programs{
		"counter": func(ctx context.Context) error {
			svc := pair.Config{LogSize: 64 << 10}.New("counter")
			n := pair.Counter(svc, "n")
			pair.Handle(svc, "add", func(_ *pair.Call, by int64) (int64, error) { return n.Add(by), nil })
			return svc.Run(ctx)
		},
	})
}

// This is what a test of a pair looks like.
func TestACounterSurvivesTheDeathOfItsPrimary(t *testing.T) {
	t.Parallel()
	p := pairtest.Start(t, "counter")
	c := p.Dial()
	n, err := receive.Call[int64](t.Context(), c, "add", 5)
	require.NoError(t, err)
	require.EqualValues(t, 5, n)

	dead := p.Primary()
	p.Kill(dead)

	n, err = receive.Call[int64](t.Context(), c, "add", 5)
	require.NoError(t, err)
	require.EqualValues(t, 10, n)
	s := p.WaitProtected()
	require.NotEqual(t, dead, s.Primary)
	require.EqualValues(t, 1, s.Takeovers)
}

func TestMembersAreFrozenSwitchedAndStopped(t *testing.T) {
	t.Parallel()
	p := pairtest.Start(t, "counter")
	first, second := p.Primary(), p.Backup()

	require.NoError(t, p.Switch())
	s := p.WaitProtected()
	require.Equal(t, []pairtest.Member{second, first}, []pairtest.Member{s.Primary, s.Backup})

	p.Freeze(s.Backup)
	p.WaitDead(s.Backup)
	s = p.WaitProtected()
	require.NotEqual(t, first, s.Backup, "a backup that stands still is replaced")
	require.Positive(t, p.Descriptors(s.Primary))

	p.Stop()
	require.False(t, second.Alive())
	require.NotEmpty(t, p.Log())
}

func TestAProgramThatEndsTellsHow(t *testing.T) {
	t.Parallel()
	p := pairtest.New(t, "no such program")
	q := p.Launch()
	require.Equal(t, 2, q.Wait())
	require.False(t, q.Running())
	p.WaitLog(`no program "no such program"`)

	p = pairtest.StartAlone(t, "counter", pairtest.Env("COUNTER=1"))
	p.Signal(p.Primary(), unix.SIGTERM)
	p.WaitStatus("the pair to stop", func(s pairtest.Status) bool { return s.Primary == pairtest.Member{} })
}
