package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	nodefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// ErrNoFUSE says that this machine, as it is, cannot mount: what is missing is said with it.
var ErrNoFUSE = errors.New("FUSE is not available")

// readSize is the most that one read asks for, in bytes; the kernel and the library have to agree on it.
const readSize = 128 << 10

// Mounted is a tree in its place.
type Mounted struct {
	dir    string
	id     uint64 // of the mount
	helper string
	gone   chan struct{}
}

// Mount puts fsys in the place of the directory dir, until Unmount is called or the process ends. A mount there whose process has
// died is cleared away first. What fsys fails with and has no errno of its own is logged. log may be nil.
func Mount(dir string, fsys fs.FS, log *slog.Logger) (*Mounted, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = clearAway(dir)
	}
	var fd int
	helper := ""
	if err == nil {
		fd, helper, err = connect(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot mount %s: %w", dir, err)
	}
	m := &Mounted{dir: dir, helper: helper, gone: make(chan struct{})}
	server, err := serve(fd, fsys, log)
	if err != nil {
		_ = unix.Close(fd)
		_ = detach(dir, helper)
		return nil, fmt.Errorf("cannot serve %s: %w", dir, err)
	}
	go func() {
		server.Serve()
		close(m.gone)
	}()
	if err = server.WaitMount(); err == nil {
		m.id, err = mountID(dir)
	}
	if err != nil {
		_ = detach(dir, helper)
		return nil, fmt.Errorf("cannot mount %s: %w", dir, err)
	}
	return m, nil
}

// serve returns a server of fsys on a descriptor of the mounted tree, which is the server's from now on unless there is an error.
func serve(fd int, fsys fs.FS, log *slog.Logger) (*fuse.Server, error) {
	options := options(log)
	return fuse.NewServer(nodefs.NewNodeFS(newRoot(fsys, log), options), fmt.Sprintf("/dev/fd/%d", fd), &options.MountOptions)
}

func options(log *slog.Logger) *nodefs.Options {
	logger := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	return &nodefs.Options{ // without any timeout: the kernel keeps nothing
		NullPermissions: true,
		Logger:          logger,
		MountOptions: fuse.MountOptions{
			Name: "tandem", MaxWrite: readSize, DisableXAttrs: true, Logger: logger,
			DisableReadDirPlus: true, // to list a directory is not to read all files in it
		},
	}
}

// Wait returns when the tree is no longer there, whoever has unmounted it, and nobody uses a file in it any more.
func (m *Mounted) Wait() { <-m.gone }

// Unmount takes the tree away at once. Who has a file of it open, or is in one of its directories, may go on with these: until they have
// left Wait does not return. To unmount what is not there any more is no error.
func (m *Mounted) Unmount() error {
	if id, err := mountID(m.dir); err != nil || id != m.id {
		return nil // it has been done; what is there now is not ours
	}
	if err := detach(m.dir, m.helper); err != nil {
		return fmt.Errorf("cannot unmount %s: %w", m.dir, err)
	}
	return nil
}

// mountID returns the number of the mount that a directory belongs to: of a kernel from 6.8 on one that is never used again. It does not
// ask the server of a tree there, which may hang.
func mountID(dir string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil {
		return 0, &os.PathError{Op: "statx", Path: dir, Err: err}
	}
	return st.Mnt_id, nil
}

// clearAway detaches what is left of a tree whose process has died, and refuses what is no directory.
func clearAway(dir string) error {
	for range 8 { // they may lie on one another
		var st unix.Stat_t
		err := unix.Stat(dir, &st)
		switch {
		case errors.Is(err, unix.ENOTCONN):
			helper := ""
			if os.Geteuid() != 0 {
				if helper, err = findHelper(); err != nil {
					return err
				}
			}
			if err := detach(dir, helper); err != nil {
				return fmt.Errorf("cannot clear away a dead mount: %w", err)
			}
			continue
		case err != nil:
			return &os.PathError{Op: "stat", Path: dir, Err: err}
		case st.Mode&unix.S_IFMT != unix.S_IFDIR:
			return &os.PathError{Op: "stat", Path: dir, Err: unix.ENOTDIR}
		}
		return nil
	}
	return fmt.Errorf("dead mounts lie on one another: %w", unix.ENOTCONN)
}
