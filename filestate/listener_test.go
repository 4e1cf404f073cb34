package filestate

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNoConnectIsRefusedWhileOneMemberHoldsTheListener(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "socket")
		}
		primary, err := OpenListener(network, address)
		require.NoError(t, err)
		backup, err := BackupOpenListener(primary.State(), dup(t, primary.FD()))
		require.NoError(t, err)
		require.NoError(t, backup.SetState(primary.State()))
		_, err = backup.Accept()
		require.Equal(t, ErrAgain, err)

		require.NoError(t, primary.Close())
		client, err := net.Dial(network, backup.State().Address)
		require.NoError(t, err)
		awaitIn(t, backup.FD(), unix.POLLIN)
		c, err := backup.Accept()
		require.NoError(t, err)
		for _, fd := range append(c.FDs(), backup.FDs()...) {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			require.NoError(t, err)
			require.NotZero(t, flags&unix.FD_CLOEXEC, "a descriptor leaked into a child would keep a dead primary's sockets open")
		}
		require.NoError(t, c.Close())
		require.NoError(t, client.Close())
		require.NoError(t, backup.Close())
	}
}

func TestAUnixListenerReplacesWhatADeadOneLeftAndNothingElse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	dead, err := OpenListener("unix", path)
	require.NoError(t, err)
	_, err = OpenListener("unix", path)
	require.ErrorIs(t, err, unix.EADDRINUSE, "somebody listens")
	require.NoError(t, dead.Close())
	l, err := OpenListener("unix", path)
	require.NoError(t, err)
	defer l.Close()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	client, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, client.Close())

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err = OpenListener("unix", file)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, "precious", content(t, file))
}

func TestWhatCannotBeListenedAtIsSaid(t *testing.T) {
	t.Parallel()
	_, err := OpenListener("udp", "127.0.0.1:0")
	require.ErrorIs(t, err, unix.EPROTONOSUPPORT)
	_, err = OpenListener("unix", "/"+strings.Repeat("x", 200))
	require.ErrorIs(t, err, unix.ENAMETOOLONG)
	_, err = OpenListener("unix", filepath.Join(t.TempDir(), "nowhere", "socket"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	l, err := OpenListener("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = OpenListener("tcp", l.State().Address)
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.ErrorIs(t, l.SetState(ListenerState{Network: "tcp", Address: "127.0.0.1:1"}), ErrNotThis)

	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	_, err = BackupOpenListener(l.State(), fd)
	require.ErrorIs(t, err, ErrNotThis, "a socket that does not listen")
	_, err = BackupOpenListener(l.State())
	require.ErrorIs(t, err, ErrNotThis)
}
