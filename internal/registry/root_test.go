package registry

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTheRunDirectoryIsTheFirstOneNamed(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		env  map[string]string
		uid  int
		want string
	}{
		"asked for":                {map[string]string{"TANDEM_DIR": "/a/b", "XDG_RUNTIME_DIR": "/x"}, 0, "/a/b"},
		"asked for, relative":      {map[string]string{"TANDEM_DIR": "b/"}, 1000, filepath.Join(here, "b")},
		"of the session":           {map[string]string{"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/tandem"},
		"of root's session":        {map[string]string{"XDG_RUNTIME_DIR": "/run/user/0"}, 0, "/run/user/0/tandem"},
		"session's is invalid":     {map[string]string{"XDG_RUNTIME_DIR": "run"}, 0, "/run/tandem"},
		"of root":                  {nil, 0, "/run/tandem"},
		"temporary":                {map[string]string{"TMPDIR": "/no/such"}, 7, "/no/such/tandem-7"},
		"temporary, relative":      {map[string]string{"TMPDIR": "tmp"}, 1 << 30, "/tmp/tandem-1073741824"},
		"temporary without TMPDIR": {nil, 1 << 30, "/tmp/tandem-1073741824"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := RootFrom(func(k string) string { return c.env[k] }, c.uid)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestTheTemporaryRunDirectoryIsRefusedUnlessPrivate(t *testing.T) {
	t.Parallel()
	me := os.Geteuid()
	if me == 0 {
		me = 4242 // root does not use the temporary directory; the directories below are still root's
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		says string
	}{
		"a link": {func(t *testing.T, dir string) { require.NoError(t, os.Symlink(t.TempDir(), dir)) }, "not a directory"},
		"a file": {func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir, nil, 0o600)) }, "not a directory"},
		"another user's": {func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o700))
			if me == os.Geteuid() {
				t.Skip("only root can give a directory away")
			}
		}, "it belongs to user 0, not to 4242"},
		"open to all": {func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.Chown(dir, me, -1))
		}, "mode 0755, want 0700"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			c.make(t, filepath.Join(tmp, "tandem-"+strconv.Itoa(me)))
			_, err := RootFrom(func(k string) string { return map[string]string{"TMPDIR": tmp}[k] }, me)
			require.ErrorIs(t, err, ErrNotPrivate)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestRootMayMakeTheRunDirectoryButNotThePairs(t *testing.T) {
	t.Parallel()
	st := unix.Stat_t{Mode: unix.S_IFDIR | 0o700, Uid: 7}
	require.NoError(t, trusted(&st, 7))
	require.NoError(t, private(&st, 7))
	require.ErrorIs(t, trusted(&st, 8), ErrNotPrivate)
	require.ErrorIs(t, private(&st, 8), ErrNotPrivate)
	st.Uid = 0
	require.NoError(t, trusted(&st, 8))
	require.ErrorIs(t, private(&st, 8), ErrNotPrivate)
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bank", "a", "7", "_", "Bank-2.test_x", strings.Repeat("x", 64)} {
		require.NoError(t, checkName(name))
	}
	for _, name := range []string{
		"", ".", "..", ".hidden", "-rf", "a/b", "/", "a b", "a\x00", "bänk", "$bank", strings.Repeat("x", 65),
	} {
		require.ErrorIs(t, checkName(name), ErrBadName, "%q", name)

		root := tempRoot(t)
		_, err := Open(root, name)
		require.ErrorIs(t, err, ErrBadName, "%q", name)
		require.NoDirExists(t, root, "a bad name created something")
		_, err = Read(root, name)
		require.ErrorIs(t, err, ErrBadName, "%q", name)
		_, err = SocketPath(root, name)
		require.ErrorIs(t, err, ErrBadName, "%q", name)
	}
}
