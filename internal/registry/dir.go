package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrHeld says that the lock of a name is taken: by another process, or by another Lock of this one.
var ErrHeld = errors.New("held by another process")

const (
	pageName   = "page"
	socketName = "socket"
)

// Dir is the directory of one name. Its methods may be used from several goroutines.
type Dir struct {
	name, path string
	fd         int // O_PATH: still the same directory if its path is renamed

	mu      sync.Mutex
	page    *os.File // nil until the first Publish
	version uint64   // of the last Publish
	buf     []byte
}

// Open opens the directory of name under root, and creates what is missing of both, for this user alone. The errors
// are ErrBadName and ErrNotPrivate, or the system's.
func Open(root, name string) (*Dir, error) {
	d, err := open(root, name)
	if err != nil {
		return nil, fmt.Errorf("cannot open the directory of %.80q under %s: %w", name, root, err)
	}
	return d, nil
}

func open(root, name string) (*Dir, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	rootFD, err := openDirAt(unix.AT_FDCWD, root, trusted)
	if err != nil {
		return nil, err
	}
	defer unix.Close(rootFD)
	if err := unix.Mkdirat(rootFD, name, 0o700); err != nil && err != unix.EEXIST {
		return nil, &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	fd, err := openDirAt(rootFD, name, private)
	if err != nil {
		return nil, err
	}
	return &Dir{name: name, path: filepath.Join(root, name), fd: fd}, nil
}

// openDirAt opens the directory name in dir, not a link to it, and puts it to the test. All that follows goes through
// the descriptor, so that nothing can be exchanged after the test.
func openDirAt(dir int, name string, test func(*unix.Stat_t, int) error) (int, error) {
	fd, err := openAt(dir, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return -1, fmt.Errorf("%w: %s is a link or a file", ErrNotPrivate, name)
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		err = test(&st, os.Geteuid())
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openAt opens name in dir for this process alone; never through a link, and never waiting for the other end of a fifo.
func openAt(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Name is the name of the pair.
func (d *Dir) Name() string { return d.name }

// Path is the absolute path of the directory.
func (d *Dir) Path() string { return d.path }

// FD is a descriptor of the directory (O_PATH), for /proc/self/fd/<FD>/<SocketName>: a socket's address holds no more
// than 108 bytes. It is valid until Close.
func (d *Dir) FD() int { return d.fd }

// SocketName is the name, within the directory, of the socket on which the pair listens.
func (d *Dir) SocketName() string { return socketName }

// SocketPath is where the pair of that name under root listens, whether or not there is one. The error is ErrBadName.
func SocketPath(root, name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("cannot name the socket of a pair: %w", err)
	}
	return filepath.Join(root, name, socketName), nil
}

// Lock takes the lock of the name for as long as the open file description behind fd lives: hand fd to the other
// member as SCM_RIGHTS, and the lock is held until both have closed it or are gone. The error is at once ErrHeld while
// somebody else holds it, or fs.ErrNotExist when the directory was removed. To release the lock, close fd: flock's
// LOCK_UN would take it from the other member too.
//
// A holder that is killed while it starts a process leaves, until that process executes, one more copy of fd for about
// a millisecond. Whoever expects the lock to be free and finds it held should therefore look twice.
func (d *Dir) Lock() (fd int, err error) {
	fd, err = d.lock()
	if err != nil {
		return -1, fmt.Errorf("cannot lock %s: %w", d.name, err)
	}
	return fd, nil
}

func (d *Dir) lock() (int, error) {
	fd, err := openAt(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: d.path, Err: err}
	}
	for {
		if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != unix.EINTR {
			break
		}
	}
	switch {
	case err == unix.EWOULDBLOCK:
		err = ErrHeld
	case err == nil && !linked(fd): // whoever creates it again gets another directory, and another lock
		err = fmt.Errorf("%w: %s was removed", fs.ErrNotExist, d.path)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// linked tells whether the file or directory behind fd still has a name.
func linked(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Nlink > 0
}

// Close releases the directory, not its lock. It may be called again.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return nil
	}
	err := unix.Close(d.fd)
	d.fd = -1
	if d.page != nil {
		err = errors.Join(err, d.page.Close())
		d.page = nil
	}
	return err
}
