package receive

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
)

// Calls of 64 bytes to a server in another process, with and without a context
// that can end, alone and with others in flight.

func BenchmarkWriteRead(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("flight=1", func(b *testing.B) { benchWriteRead(b, context.Background(), 1) })
	b.Run("flight=1/cancellable", func(b *testing.B) { benchWriteRead(b, ctx, 1) })
	b.Run("flight=16", func(b *testing.B) { benchWriteRead(b, context.Background(), 16) })
	b.Run("flight=16/cancellable", func(b *testing.B) { benchWriteRead(b, ctx, 16) })
	b.Run("flight=64", func(b *testing.B) { benchWriteRead(b, context.Background(), 64) })
}

func benchWriteRead(b *testing.B, ctx context.Context, flight int) {
	c := dialChild(b)
	body := make([]byte, 64)
	concurrently(b, flight, func() error {
		_, err := c.WriteRead(ctx, "bench", body)
		return err
	})
}

// dialChild opens a server in another process.
func dialChild(b *testing.B) *Conn {
	root := tempRoot(b)
	startServer(b, "pair", root)
	c, err := Dial(b.Context(), "bank", RunDir(root))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close()) })
	return c
}

func BenchmarkCall(b *testing.B) {
	c := dialChild(b)
	type transfer struct {
		From, To string
		Amount   int64
	}
	concurrently(b, 1, func() error {
		_, err := Call[transfer](context.Background(), c, "bench", &transfer{"ada", "bob", 5})
		return err
	})
}

// BenchmarkBare is what the kernel asks for a packet there and one back, with
// blocking system calls, and what Go's own connections make of it.
func BenchmarkBare(b *testing.B) {
	b.Run("blocking", benchBlockingEcho)
	b.Run("net/flight=1", func(b *testing.B) { benchNetEcho(b, 1) })
	b.Run("net/flight=16", func(b *testing.B) { benchNetEcho(b, 16) })
}

const bareSize = 16 + 24 + 8 + 64 // a packet with one request of 64 bytes

func benchBlockingEcho(b *testing.B) {
	path := filepath.Join(tempRoot(b), "s")
	startServer(b, "blocking", path)
	fd, err := sock.Dial(b.Context(), path)
	require.NoError(b, err)
	defer unix.Close(fd)
	require.NoError(b, unix.SetNonblock(fd, false))
	echoOnce(b, blockingFD(fd))
}

func echoOnce(b *testing.B, rw io.ReadWriter) {
	body := make([]byte, bareSize)
	concurrently(b, 1, func() error {
		if _, err := rw.Write(body); err != nil {
			return err
		}
		_, err := rw.Read(body)
		return err
	})
}

// benchNetEcho shares one connection: flight goroutines write, one reads and
// wakes them in turn.
func benchNetEcho(b *testing.B, flight int) {
	path := filepath.Join(tempRoot(b), "s")
	startServer(b, "net", path)
	conn, err := net.Dial("unixpacket", path)
	require.NoError(b, err)
	defer conn.Close()
	if flight == 1 {
		echoOnce(b, conn)
		return
	}
	body := make([]byte, bareSize)
	turns := make(chan struct{}, flight)
	go func() {
		buf := make([]byte, bareSize)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
			turns <- struct{}{}
		}
	}()
	concurrently(b, flight, func() error {
		if _, err := conn.Write(body); err != nil {
			return err
		}
		<-turns
		return nil
	})
}

func concurrently(b *testing.B, flight int, once func() error) {
	b.ReportAllocs()
	if flight == 1 {
		for b.Loop() {
			if err := once(); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	errs := make(chan error, flight)
	b.ResetTimer()
	for range flight {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := once(); err != nil {
					errs <- fmt.Errorf("in flight: %w", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	close(errs)
	for err := range errs {
		b.Fatal(err)
	}
}

func BenchmarkOpener(b *testing.B) {
	var t Openers
	o, err := t.Open(Identity{Depth: 64})
	require.NoError(b, err)
	reply := make([]byte, 64)
	b.ReportAllocs()
	for id := uint64(1); b.Loop(); id++ {
		if o.Decide(id, id) != Run {
			b.Fatal("a new request is not run")
		}
		o.Begin(id)
		o.Save(id, 0, reply)
	}
}

func BenchmarkInbox(b *testing.B) {
	in := NewInbox(InboxConfig{})
	r := &Request{}
	b.ReportAllocs()
	for b.Loop() {
		in.Push(r)
		if _, err := in.ReadUpdate(context.Background()); err != nil {
			b.Fatal(err)
		}
		if err := in.Reply(r.Tag, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
