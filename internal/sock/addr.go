package sock

import (
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxSunPath is what an address takes, less its final zero.
const maxSunPath = len(unix.RawSockaddrUnix{}.Path) - 1

// withAddr calls f with an address that means path, however long that is: a path
// that does not fit goes through a descriptor of its directory.
func withAddr(path string, f func(*unix.SockaddrUnix) error) error {
	if len(path) <= maxSunPath {
		return f(&unix.SockaddrUnix{Name: path})
	}
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return f(&unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)})
}
