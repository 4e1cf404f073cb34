package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

const (
	envJournal = "COUNTER_JOURNAL"
	envKill    = "COUNTER_KILL" // at which point of its third checkpoint the first member kills itself
)

func TestMain(m *testing.M) {
	pairtest.Main(m, pairtest.Programs{name: func(ctx context.Context) error {
		cfg := pair.Config{}
		if kill, _ := strconv.Atoi(os.Getenv(envKill)); kill > 0 && os.Getenv("TANDEM_JOIN") == "" {
			seen := 0
			cfg.AtPoint = func(p pair.Point) {
				if p == pair.PointHandled {
					seen++
				}
				if seen == 3 && int(p) == kill {
					_ = unix.Kill(os.Getpid(), unix.SIGKILL)
				}
			}
		}
		return serve(ctx, cfg, os.Getenv(envJournal))
	}})
}

// counting is a counter that has been started, and its client.
type counting struct {
	*pairtest.Pair
	t       *testing.T
	conn    *receive.Conn
	journal string
	want    []int64 // the journal as it should be
}

func start(t *testing.T, env ...string) *counting {
	t.Helper()
	journal := filepath.Join(t.TempDir(), "journal")
	p := pairtest.Start(t, name, pairtest.Env(append(env, envJournal+"="+journal)...))
	return &counting{Pair: p, t: t, conn: p.Dial(), journal: journal}
}

func (c *counting) add(n int64) {
	c.t.Helper()
	got, err := receive.Call[int64](c.t.Context(), c.conn, "add", n)
	require.NoError(c.t, err)
	want := n
	if len(c.want) > 0 {
		want += c.want[len(c.want)-1]
	}
	require.Equal(c.t, want, got, "broken promise: every addition is made once")
	if n != 0 {
		c.want = append(c.want, want)
	}
}

// check compares the journal with what was answered: line by line the same.
func (c *counting) check() {
	c.t.Helper()
	b, err := os.ReadFile(c.journal)
	require.NoError(c.t, err)
	var want strings.Builder
	for _, n := range c.want {
		fmt.Fprintf(&want, "%19d\n", n)
	}
	require.Equal(c.t, want.String(), string(b), "broken promise: one line for each addition, never lost and never twice")
}

func TestTheCountAndTheJournalGoOnWhenThePrimaryIsKilledBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	for _, p := range pair.Points()[1:] {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			c := start(t, fmt.Sprint(envKill, "=", int(p)))
			for n := range int64(6) {
				c.add(n + 1)
			}
			c.check()
			require.EqualValues(t, 2, c.WaitProtected().Epoch, "the first primary was to die")
		})
	}
}

func TestTheCountSurvivesKillsAndSwitchesInTurn(t *testing.T) {
	t.Parallel()
	c := start(t)
	for range 3 {
		c.add(1)
		c.Kill(c.Primary())
		c.add(2)
		c.WaitProtected()
		require.NoError(t, c.Switch())
		c.add(3)
		c.WaitProtected()
		require.NoError(t, c.Switch())
		c.Kill(c.WaitProtected().Backup)
		c.add(4)
		c.WaitProtected()
	}
	c.add(0)
	c.check()
}

func TestTheSameCommandInASecondTerminalBecomesTheBackup(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.add(7)
	second := c.Launch(envJournal + "=elsewhere") // it is told what to open
	c.WaitStatus("the process started by hand to be the backup", func(s pairtest.Status) bool {
		return s.Protected && s.Backup.PID == second.PID()
	})
	c.add(1)
	c.Kill(c.Primary())
	c.add(1)
	require.Equal(t, second.PID(), c.Primary().PID)
	c.check()
}

func TestAWrongRequestIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.add(1)
	_, err := receive.Call[int64](t.Context(), c.conn, "add", "five")
	require.ErrorIs(t, err, receive.ErrBadRequest)
	c.add(0)
	c.check()
}
