package line

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counter serves or does not.
type counter struct {
	n      atomic.Int64
	serves atomic.Bool
}

var _ Counter = (*counter)(nil)

func (c *counter) Add() (int64, bool) {
	if !c.serves.Load() {
		return 0, false
	}
	return c.n.Add(1), true
}

func (c *counter) Role() string {
	if c.serves.Load() {
		return Serving
	}
	return Waiting
}

// serve returns the address of a server that ends with the test.
func serve(t *testing.T, c Counter, other func([]string) string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		_ = Serve(l, c, other)
		close(ended)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestAClientFindsWhoServes(t *testing.T) {
	t.Parallel()
	first, second := &counter{}, &counter{}
	first.serves.Store(true)
	addrs := []string{serve(t, first, nil), serve(t, second, nil)}
	c := NewClient(addrs...)
	defer c.Close()
	n, pid, err := c.Add(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, os.Getpid(), pid)

	second.n.Store(n)
	first.serves.Store(false)
	second.serves.Store(true)
	n, _, err = c.Add(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.EqualValues(t, 1, first.n.Load(), "a server that does not serve has added")

	first.serves.Store(true)
	c.Use(addrs[0])
	_, _, err = c.Add(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, first.n.Load(), "the client does not use the server it was told to")
}

func TestAClientGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	c := NewClient(serve(t, &counter{}, nil))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err := c.Add(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAServerAnswersEveryLine(t *testing.T) {
	t.Parallel()
	c := &counter{}
	addr := serve(t, c, func(words []string) string { return words[len(words)-1] })
	role, pid, err := Role(t.Context(), addr)
	require.NoError(t, err)
	require.Equal(t, Waiting, role)
	require.Equal(t, os.Getpid(), pid)
	for question, want := range map[string]string{"add": No, "": No, "what else": "else"} {
		got, err := Ask(t.Context(), addr, question)
		require.NoError(t, err)
		require.Equal(t, want, got, "to %q", question)
	}
}
