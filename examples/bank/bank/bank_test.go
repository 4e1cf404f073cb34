package bank

import (
	"context"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// openBank serves a bank in this process, without a backup, and returns its run directory and an open of it.
func openBank(t *testing.T) (dir string, c *Client) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	svc := New("bank", pair.Config{Dir: dir, NoSpawn: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	go func() { ended <- svc.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	c, err := Dial(t.Context(), "bank", receive.RunDir(dir))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return dir, c
}

func TestBooksBalanceAfterEveryBookingAndRefusal(t *testing.T) {
	t.Parallel()
	_, c := openBank(t)
	ctx := t.Context()
	deposit := func(account string, amount int64) func() (Statement, error) {
		return func() (Statement, error) { return c.Deposit(ctx, account, amount) }
	}
	transfer := func(from, to string, amount int64) func() (Statement, error) {
		return func() (Statement, error) { return c.Transfer(ctx, from, to, amount) }
	}
	balance := func(account string) func() (Statement, error) {
		return func() (Statement, error) { return c.Statement(ctx, account) }
	}
	for _, step := range []struct {
		what string
		do   func() (Statement, error)
		want Statement
		err  error
	}{
		{"an account begins with its first deposit", deposit("ada", 100), Statement{100, 1}, nil},
		{"money moves", transfer("ada", "bob", 30), Statement{70, 2}, nil},
		{"and arrives", balance("bob"), Statement{30, 1}, nil},
		{"nobody pays what is not there", transfer("bob", "ada", 31), Statement{}, ErrInsufficient},
		{"and a refusal changes nothing", balance("bob"), Statement{30, 1}, nil},
		{"an account may pay itself", transfer("ada", "ada", 70), Statement{70, 4}, nil},
		{"no deposit of nothing", deposit("ada", 0), Statement{}, ErrAmount},
		{"no stealing", transfer("ada", "bob", -5), Statement{}, ErrAmount},
		{"no account without a name", deposit("", 5), Statement{}, ErrAccount},
		{"nor a transfer to one", transfer("ada", "", 5), Statement{}, ErrAccount},
		{"no overflow", deposit("bob", math.MaxInt64-99), Statement{}, ErrVault},
		{"the bank holds as much as it can count", deposit("bob", math.MaxInt64-100), Statement{math.MaxInt64 - 70, 2}, nil},
		{"nothing is known of a stranger", balance("eve"), Statement{}, nil},
	} {
		got, err := step.do()
		require.ErrorIs(t, err, step.err, step.what)
		require.Equal(t, step.want, got, step.what)
		audit, err := c.Audit(ctx)
		require.NoError(t, err)
		require.True(t, audit.Balanced(), "%s: the books must balance: %+v", step.what, audit)
	}
}

func TestLoadFindsAnHonestBankHonest(t *testing.T) {
	t.Parallel()
	dir, _ := openBank(t)
	replied := make(chan int, 1000)
	l, err := StartLoad(t.Context(), LoadConfig{Name: "bank", Dir: dir, Clients: 3, Seed: 1, Replied: func(client int, epoch uint32) {
		select {
		case replied <- client:
		default:
		}
	}})
	require.NoError(t, err)
	seen := map[int]bool{}
	for len(seen) < 3 {
		seen[<-replied] = true
	}
	r := l.Stop(t.Context())
	require.True(t, r.OK(), "%+v", r)
	require.Equal(t, l.Requests(), r.Requests)
	require.GreaterOrEqual(t, r.Requests, int64(3))
	require.Len(t, r.Clients, 3)
	require.Positive(t, r.Audits)
}

func TestLoadFindsABankThatBooksBehindItsCustomersBack(t *testing.T) {
	t.Parallel()
	dir, thief := openBank(t)
	begun := make(chan struct{}, 1)
	l, err := StartLoad(t.Context(), LoadConfig{Name: "bank", Dir: dir, Clients: 2, Seed: 1, Replied: func(int, uint32) {
		select {
		case begun <- struct{}{}:
		default:
		}
	}})
	require.NoError(t, err)
	<-begun
	_, err = thief.Deposit(t.Context(), l.customers[1].account, 1)
	require.NoError(t, err)
	r := l.Stop(t.Context())
	require.Equal(t, int64(1), r.Duplicated, "one booking too many is one too many")
	require.Zero(t, r.Lost)
	require.True(t, r.Clients[0].Clean(), "the other customer has nothing to complain of")
	require.False(t, r.OK())
}

func TestLoadSaysWhyCustomersGaveUp(t *testing.T) {
	t.Parallel()
	dir, _ := openBank(t)
	l, err := StartLoad(t.Context(), LoadConfig{Name: "bank", Dir: dir, Clients: 2})
	require.NoError(t, err)
	require.NoError(t, l.customers[0].Close())
	<-l.GaveUp()
	r := l.Stop(t.Context())
	require.ErrorIs(t, r.Err, receive.ErrNotOpen)
	require.ErrorContains(t, r.Err, "customer 0")
	require.False(t, r.OK())
}

func TestLoadNeedsABank(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := StartLoad(ctx, LoadConfig{Name: "bank", Dir: filepath.Join(t.TempDir(), "run"), Clients: 1})
	require.ErrorContains(t, err, "cannot start the load")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
