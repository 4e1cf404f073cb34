package filestate_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/codec"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/pairtest"
)

// roleEnv makes the test binary the primary of a pair whose other member is the test.
const roleEnv = "TANDEM_FILESTATE_TEST_ROLE"

var roles = map[string]func(*backup) error{"write": playWriter, "log": playLog, "echo": playEcho}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := roles[role](&backup{fd: 3}); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pairtest.Main(m, pairtest.Programs{"ledger": func(ctx context.Context) error { return newLedger().Run(ctx) }})
}

// backup is the other member, as the primary sees it. A checkpoint is a packet: it is there whole or not at all, and outlives
// who has sent it.
type backup struct{ fd int }

// checkpoint hands v over, with descriptors.
func (b *backup) checkpoint(v any, fds ...int) error {
	p, err := codec.Append(nil, v)
	if err != nil {
		return err
	}
	for {
		if err = sock.SendFDs(b.fd, p, fds...); err != sock.ErrAgain {
			return err
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLOUT}}, -1); err != nil && err != unix.EINTR {
			return err
		}
	}
}

// receive takes the next packet as v.
func (b *backup) receive(v any) (fds []int, err error) {
	buf := make([]byte, sock.MaxPacket)
	for {
		n, fds, err := sock.RecvFDs(b.fd, buf, 16)
		if err == sock.ErrAgain {
			_, err = sock.WaitReadable(b.fd, -1)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		return fds, codec.Decode(buf[:n], v)
	}
}

// primary is a process in one of the roles, as the test sees it: the test is its backup.
type primary struct {
	backup
	cmd *exec.Cmd
}

func startPrimary(t *testing.T, role string) *primary {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	theirs := os.NewFile(uintptr(fds[1]), "control")
	defer theirs.Close()
	p := &primary{backup: backup{fd: fds[0]}, cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	p.cmd.Stderr = os.Stderr
	p.cmd.ExtraFiles = []*os.File{theirs}
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		p.kill()
		require.NoError(t, unix.Close(p.fd))
	})
	return p
}

// kill ends the process at whatever instruction it is, and returns when it has ended. It may be called again.
func (p *primary) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
