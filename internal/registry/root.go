package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// The reasons for which a name or a directory is not used.
var (
	ErrBadName    = errors.New("not a pair's name")
	ErrNotPrivate = errors.New("not a private directory")
)

// maxName is the length of the longest name, in bytes.
const maxName = 64

// Root is the run directory of this process. It need not exist yet: [Open] creates it.
func Root() (string, error) { return RootFrom(os.Getenv, os.Geteuid()) }

// RootFrom is [Root] for the environment that getenv looks up and the effective user uid. The error is ErrNotPrivate:
// the directory under the temporary one, where anybody could have made it first, is a symbolic link, belongs to
// another user, or is accessible to others.
func RootFrom(getenv func(string) string, uid int) (string, error) {
	if dir := getenv("TANDEM_DIR"); dir != "" {
		return filepath.Abs(dir) // the backup may work in another directory
	}
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) { // others are invalid: XDG Base Directory Specification
		return filepath.Join(dir, "tandem"), nil
	}
	if uid == 0 {
		return "/run/tandem", nil
	}
	tmp := getenv("TMPDIR")
	if !filepath.IsAbs(tmp) {
		tmp = "/tmp"
	}
	dir := filepath.Join(tmp, "tandem-"+strconv.Itoa(uid))
	var st unix.Stat_t
	switch err := unix.Lstat(dir, &st); {
	case errors.Is(err, fs.ErrNotExist):
		return dir, nil
	case err != nil:
		return "", fmt.Errorf("cannot use run directory %s: %w", dir, err)
	}
	if err := private(&st, uid); err != nil {
		return "", fmt.Errorf("cannot use run directory %s: %w", dir, err)
	}
	return dir, nil
}

// private requires of a directory that nobody but uid can get into it.
func private(st *unix.Stat_t, uid int) error {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%w: not a directory", ErrNotPrivate)
	case int(st.Uid) != uid:
		return fmt.Errorf("%w: it belongs to user %d, not to %d", ErrNotPrivate, st.Uid, uid)
	case st.Mode&0o077 != 0:
		return fmt.Errorf("%w: mode %#o, want 0700", ErrNotPrivate, st.Mode&0o777)
	}
	return nil
}

// trusted requires of a directory that nobody but uid and root can exchange what is in it. Names of pairs are no
// secret, so others may list it: a service manager may well create it with mode 0755.
func trusted(st *unix.Stat_t, uid int) error {
	switch {
	case int(st.Uid) != uid && st.Uid != 0:
		return fmt.Errorf("%w: it belongs to user %d, not to %d", ErrNotPrivate, st.Uid, uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%w: mode %#o: others may write to it", ErrNotPrivate, st.Mode&0o777)
	}
	return nil
}

// checkName accepts [A-Za-z0-9._-]{1,64}, not beginning with '.' (hidden, or the directory itself) or '-' (an option).
func checkName(name string) error {
	ok := 0 < len(name) && len(name) <= maxName && name[0] != '.' && name[0] != '-'
	for i := 0; ok && i < len(name); i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			ok = false
		}
	}
	if !ok {
		return fmt.Errorf("%w: %.80q: want 1 to %d of A-Z a-z 0-9 . _ -, the first not . or -", ErrBadName, name, maxName)
	}
	return nil
}
