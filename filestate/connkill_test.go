package filestate_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/filestate"
)

// echoPoint is a checkpoint of the role "echo": the connection, and how many requests were handled.
type echoPoint struct {
	Conn  filestate.ConnState
	Count int
}

// playEcho answers every line with its number and itself, until it is killed or the client ends.
func playEcho(b *backup) error {
	var at echoPoint
	fds, err := b.receive(&at)
	if err != nil {
		return err
	}
	c, err := filestate.BackupOpenConn(at.Conn, fds...)
	if err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	for {
		for err = c.Do(); err == filestate.ErrAgain; err = c.Do() {
			await(c.FD(), unix.POLLOUT)
		}
		if err != nil || c.State().Ends {
			return err
		}
		n, err := c.Peek(buf)
		switch {
		case err == filestate.ErrAgain:
			await(c.FD(), unix.POLLIN)
			continue
		case err == io.EOF:
			c.End()
		case err != nil:
			return err
		default:
			at.Count = answer(c, buf[:n], at.Count)
		}
		at.Conn = c.State()
		if err := b.checkpoint(at); err != nil {
			return err
		}
	}
}

// answer plans everything that follows from b.
func answer(c *filestate.Conn, b []byte, count int) int {
	for {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			c.Hold(b)
			return count
		}
		c.Reply(fmt.Appendf(nil, "%d %s%s", count, c.Held(), b[:end]))
		c.Take(end)
		b = b[end:]
		count++
	}
}

func await(fd int, events int16) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, -1)
}

// request is the i-th line that the client sends: mostly short, sometimes longer than what a socket holds.
func request(i int) []byte {
	n := i * 7 % 100
	if i%50 == 20 {
		n = 30_000
	}
	return fmt.Appendf(nil, "request %d %s\n", i, bytes.Repeat([]byte{'a' + byte(i%26)}, n))
}

func TestAClientNoticesNothingOfTheKillsOfItsServer(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "socket")
			}
			l, err := filestate.OpenListener(network, address)
			require.NoError(t, err)
			defer l.Close()
			client, err := net.Dial(network, l.State().Address)
			require.NoError(t, err)
			defer client.Close()
			await(l.FD(), unix.POLLIN)
			c, err := l.Accept()
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, unix.SetsockoptInt(c.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10))

			stop, over := make(chan struct{}), make(chan error, 2)
			count := make(chan int, 1)
			go func() { over <- sendRequests(client, stop, count) }()
			go func() { over <- checkReplies(client, count) }()

			last := echoPoint{Conn: c.State()}
			pause := rapid.IntRange(1, 80)
			for seed := range 10 {
				p := startPrimary(t, "echo")
				require.NoError(t, p.checkpoint(last, c.FDs()...))
				for range pause.Example(seed) {
					_, err = p.receive(&last)
					require.NoError(t, err)
				}
				p.kill()
				for err == nil {
					_, err = p.receive(&last)
				}
				require.ErrorIs(t, err, io.EOF)
			}
			close(stop)
			p := startPrimary(t, "echo")
			require.NoError(t, p.checkpoint(last, c.FDs()...))
			for err = nil; err == nil; { // until the client has ended
				_, err = p.receive(&last)
			}
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, <-over)
			require.NoError(t, <-over)
		})
	}
}

// sendRequests pipelines requests until it is told to stop, and says how many they were.
func sendRequests(c net.Conn, stop chan struct{}, count chan int) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			count <- i
			return c.(interface{ CloseWrite() error }).CloseWrite()
		default:
		}
		b := request(i)
		for _, part := range [][]byte{b[:len(b)/3], b[len(b)/3:]} {
			if _, err := c.Write(part); err != nil {
				return fmt.Errorf("request %d: %w", i, err)
			}
		}
	}
}

// checkReplies reads to the end and expects every reply once, in order, whole.
func checkReplies(c net.Conn, count chan int) error {
	r := bufio.NewReaderSize(c, 64<<10)
	for i := 0; ; i++ {
		got, err := r.ReadString('\n')
		if err == io.EOF && got == "" {
			if n := <-count; n != i {
				return fmt.Errorf("%d replies to %d requests", i, n)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("reply %d: %w", i, err)
		}
		if want := fmt.Sprintf("%d %s", i, request(i)); got != want {
			return errors.New("broken promise: every request is answered once: got " + got[:min(len(got), 60)] + "…, expected " + want[:min(len(want), 60)])
		}
	}
}
