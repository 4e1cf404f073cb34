package pair_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// The directory keeps strangers out. Should somebody have opened it to all, the pair itself still does.
func TestAProcessOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can come as another user: run this test as root")
	}
	p := start(t, "ledger")
	p.WaitProtected()
	path, err := registry.SocketPath(p.Dir(), p.Name())
	require.NoError(t, err)
	_, err = dialAs(65534, path)
	require.Error(t, err, "broken promise: the run directory is private")

	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	require.NoError(t, os.Chmod(path, 0o777))
	fd, err := dialAs(65534, path)
	require.NoError(t, err)
	defer unix.Close(fd)
	r := &raw{t: t, fd: fd, buf: make([]byte, wire.MaxPacket+1)}
	require.Empty(t, r.closed(), "broken promise: a pair speaks to its own user and to root only")
	p.WaitLog("belongs to user 65534")

	_, err = enter(t, p.Dial(), Entry{Client: 1})
	require.NoError(t, err, "the pair goes on")
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o700))
	require.NoError(t, os.Chmod(p.Dir(), 0o700))
}

// dialAs connects as another user: a thread of its own takes that user's place and ends with it.
func dialAs(uid int, path string) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: no other goroutine may run as that user
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			err = errno
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		fd, err = sock.Dial(ctx, path)
	}()
	<-done
	return fd, err
}
