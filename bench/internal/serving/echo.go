package serving

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// The bare echo server: what a Go programmer writes first, on the same kind of socket. It protects nothing.

const (
	bareEcho    = "bare echo"
	bareCallers = "bare echo, calling goroutines"
)

// EchoProcess is the server: a goroutine for each connection, a packet at a time.
func EchoProcess(profile *string) *cobra.Command {
	return &cobra.Command{Use: "echo", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		l, err := net.Listen("unixpacket", args[0])
		if err != nil {
			return err
		}
		if err := world.Ready(3); err != nil {
			return err
		}
		return world.Profiled(*profile, "echo", func() error {
			var wg sync.WaitGroup
			for range 2 { // connections of the one client
				c, err := l.Accept()
				if err != nil {
					return err
				}
				wg.Go(func() { echoAll(c) })
			}
			wg.Wait()
			return nil
		})
	}}
}

func echoAll(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// echoClient is the client's side: one connection used by one goroutine, another shared by callers.
type echoClient struct {
	loop   net.Conn
	called *echoConn
}

func startEcho(ctx context.Context, w *world.World) (*echoClient, error) {
	path := filepath.Join(w.Base, "echo")
	p, err := w.SpawnAndHear(ctx, nil, "echo", path)
	if err != nil {
		return nil, err
	}
	_ = p.Close()
	loop, err := net.Dial("unixpacket", path)
	if err != nil {
		return nil, err
	}
	shared, err := net.Dial("unixpacket", path)
	if err != nil {
		return nil, err
	}
	called := &echoConn{Conn: shared}
	go called.receive()
	return &echoClient{loop, called}, nil
}

func (e *echoClient) close() {
	_ = e.loop.Close()
	_ = e.called.Close()
	time.Sleep(10 * time.Millisecond) // its profile
}

func (e *echoClient) contenders() []*contender {
	buf := make([]byte, subject.PayloadSize)
	one := func() error {
		if _, err := e.loop.Write(buf); err != nil {
			return err
		}
		_, err := io.ReadFull(e.loop, buf)
		return err
	}
	// The fastest client: as many packets under way as asked for, and one goroutine that sends another for each that comes back.
	many := func(n int, stop *atomic.Bool) (answered int, err error) {
		for range n {
			_, werr := e.loop.Write(buf)
			err = errors.Join(err, werr)
		}
		for under := n; under > 0 && err == nil; {
			if _, err = io.ReadFull(e.loop, buf); err != nil {
				break
			}
			answered++
			if stop.Load() {
				under--
				continue
			}
			_, err = e.loop.Write(buf)
		}
		return answered, err
	}
	return []*contender{{name: bareEcho, one: one, many: many}, callers(bareCallers, e.called.call)}
}

// echoConn is a connection shared by callers: each waits for its own packet to come back.
type echoConn struct {
	net.Conn
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan struct{}
	pool    sync.Pool
}

func (c *echoConn) call() error {
	done, _ := c.pool.Get().(chan struct{})
	if done == nil {
		done = make(chan struct{}, 1)
	}
	defer c.pool.Put(done)
	c.mu.Lock()
	if c.waiting == nil {
		c.waiting = map[uint64]chan struct{}{}
	}
	c.next++
	id := c.next
	c.waiting[id] = done
	c.mu.Unlock()
	var buf [subject.PayloadSize]byte
	binary.LittleEndian.PutUint64(buf[:], id)
	if _, err := c.Write(buf[:]); err != nil {
		return err
	}
	if _, ok := <-done; !ok {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// receive wakes the callers.
func (c *echoConn) receive() {
	buf := make([]byte, subject.PayloadSize)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			break
		}
		id := binary.LittleEndian.Uint64(buf)
		c.mu.Lock()
		done := c.waiting[id]
		delete(c.waiting, id)
		c.mu.Unlock()
		if done != nil {
			done <- struct{}{}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, done := range c.waiting {
		close(done)
	}
}
