package receive

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The test binary, run again with this variable, serves another process.
const serveEnv = "RECEIVE_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) == "" {
		os.Exit(m.Run())
	}
	if err := serveUntilEOF(os.Getenv(serveEnv), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveUntilEOF serves until its standard input ends, as it does when its parent dies.
func serveUntilEOF(what, path string) error {
	switch what {
	case "pair":
		p, err := newFake(path)
		if err != nil {
			return err
		}
		defer p.stop()
	case "blocking", "net":
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
		if err != nil {
			return err
		}
		go echo(l, what == "blocking")
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// echo sends every packet of one connection back, through Go's poller or without.
func echo(l *net.UnixListener, blocking bool) {
	conn, err := l.AcceptUnix()
	if err != nil {
		return
	}
	var rw io.ReadWriter = conn
	if blocking {
		f, err := conn.File()
		if err != nil {
			return
		}
		rw = blockingFD(f.Fd())
		_ = unix.SetNonblock(int(f.Fd()), false)
	}
	buf := make([]byte, 512)
	for {
		n, err := rw.Read(buf)
		if err != nil || n == 0 {
			return
		}
		_, _ = rw.Write(buf[:n])
	}
}

type blockingFD int

func (fd blockingFD) Read(b []byte) (int, error)  { return unix.Read(int(fd), b) }
func (fd blockingFD) Write(b []byte) (int, error) { return unix.Write(int(fd), b) }

// startServer runs a server in a process of its own until the test is over.
func startServer(t testing.TB, what, path string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), serveEnv+"="+what)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		require.NoError(t, cmd.Wait())
	})
	var line string
	_, err = fmt.Fscanln(out, &line)
	require.NoError(t, err)
	require.Equal(t, "ready", line)
}
