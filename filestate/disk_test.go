package filestate

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mount mounts a file system of that type for the test, which is skipped where that is not allowed.
func mount(t *testing.T, fstype, options string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount(fstype, dir, fstype, 0, options); err != nil {
		t.Skipf("needs the right to mount a %s (CAP_SYS_ADMIN): %v", fstype, err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func open(t *testing.T, path string, depth int) *File {
	t.Helper()
	f, err := OpenFile(path, os.O_CREATE, depth)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// takeAll fills the disk with a file of somebody else, and returns what gives the room back.
func takeAll(t *testing.T, dir string) (giveBack func()) {
	t.Helper()
	path := filepath.Join(dir, "somebody else's")
	w, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, w.Close())
	return func() { require.NoError(t, os.Remove(path)) }
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestAFullDiskIsAnErrorOfThePlanAndNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	dir := mount(t, "tmpfs", "size=256k")
	f := open(t, filepath.Join(dir, "journal"), 0)
	line := []byte(strings.Repeat("x", 999) + "\n")
	lines := 0
	for {
		before := f.State()
		off, err := f.Append(line)
		if err != nil {
			require.ErrorIs(t, err, unix.ENOSPC)
			require.Equal(t, before.Size, f.Size())
			require.Empty(t, f.State().Pending)
			break
		}
		require.EqualValues(t, lines*len(line), off)
		require.NoError(t, f.Do())
		lines++
	}
	require.Greater(t, lines, 200_000/len(line), "what is reserved ahead must not keep the last of the disk from being used")
	require.Equal(t, strings.Repeat(string(line), lines), content(t, f.Path()))

	require.NoError(t, f.Truncate(1000))
	require.NoError(t, f.Do())
	_, err := f.Append(line)
	require.NoError(t, err, "there is room again")
	require.NoError(t, f.Do())
	require.Equal(t, strings.Repeat(string(line), 2), content(t, f.Path()))
}

func TestAHandlerThatFailsForLackOfSpaceTakesItsPlansBack(t *testing.T) {
	t.Parallel()
	dir := mount(t, "tmpfs", "size=256k")
	f := open(t, filepath.Join(dir, "journal"), 0)
	_, err := f.Append([]byte("kept\n"))
	require.NoError(t, err)
	f.Keep()
	_, err = f.Append(make([]byte, 100_000))
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, 300_000), 0)
	require.ErrorIs(t, err, unix.ENOSPC)
	_, err = f.Append(make([]byte, 2<<20))
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, f.Undo())
	require.NoError(t, f.Do())
	require.Equal(t, "kept\n", content(t, f.Path()))
}

// Whatever is planned has its space. Somebody else takes all the rest before every single step of it.
func TestWhatIsPlannedCanBeDoneOnADiskThatIsFullByThen(t *testing.T) {
	t.Parallel()
	long, short := bytes.Repeat([]byte("long "), 10_000), []byte("short")
	for name, plan := range map[string]func(f *File) error{
		"append": func(f *File) error {
			_, err := f.Append(long)
			return err
		},
		"write into a hole": func(f *File) error {
			require.NoError(t, f.Truncate(100_000))
			require.NoError(t, f.Do())
			_, err := f.WriteAt(long, 8192)
			return err
		},
		"new content": func(f *File) error {
			require.NoError(t, f.Truncate(0))
			_, err := f.Append(long)
			return err
		},
		"new content that begins with a hole": func(f *File) error {
			require.NoError(t, f.Truncate(10))
			_, err := f.WriteAt(long, 20_000)
			require.NoError(t, err)
			_, err = f.Append(short)
			return err
		},
		"content that is given up": func(f *File) error {
			_, err := f.Append(long)
			require.NoError(t, err)
			require.NoError(t, f.Truncate(20_000))
			_, err = f.Append(long)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := mount(t, "tmpfs", "size=512k")
			f := open(t, filepath.Join(dir, "file"), 0)
			_, err := f.Append(bytes.Repeat([]byte("old "), 15_000))
			require.NoError(t, err)
			require.NoError(t, f.Do())
			require.NoError(t, plan(f))
			want := make([]byte, f.Size())
			_, err = f.ReadAt(want, 0)
			require.NoError(t, err)
			for _, s := range steps(f.st.Pending) {
				takeAll(t, dir)
				require.NoError(t, f.do(&s), "the space for it was reserved")
			}
			require.NoError(t, f.Do())
			require.Equal(t, string(want), content(t, f.Path()))
		})
	}
}

func TestClosingGivesTheSpaceReservedAheadBack(t *testing.T) {
	t.Parallel()
	blocks := func(path string) int64 {
		var st unix.Stat_t
		require.NoError(t, unix.Stat(path, &st))
		return st.Blocks * 512
	}
	f := open(t, filepath.Join(t.TempDir(), "journal"), 0)
	require.LessOrEqual(t, blocks(f.Path()), int64(0), "opening reserves nothing")
	_, err := f.Append([]byte("line\n"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, blocks(f.Path()), int64(piece))
	require.NoError(t, f.Do())
	st := f.State()
	backup, err := BackupOpenFile(st)
	require.NoError(t, err)
	require.NoError(t, backup.SetState(st))
	require.NoError(t, backup.Close())
	require.GreaterOrEqual(t, blocks(f.Path()), int64(piece), "a backup that leaves takes nothing from the primary")
	require.NoError(t, f.Close())
	require.Less(t, blocks(f.Path()), int64(piece/2))
	require.Equal(t, "line\n", content(t, f.Path()))
}

func TestAFileSystemThatCannotReserveIsRefused(t *testing.T) {
	t.Parallel()
	dir := mount(t, "ramfs", "")
	_, err := OpenFile(filepath.Join(dir, "file"), os.O_CREATE, 0)
	require.ErrorIs(t, err, ErrNoReserve)
	require.ErrorIs(t, err, unix.EOPNOTSUPP)
}

func TestAFileThatIsReplacedOrShortenedIsNeverWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meddle func(path string) error
		want   error
	}{
		"removed": {os.Remove, ErrReplaced},
		"renamed": {func(path string) error { return os.Rename(path, path+".old") }, ErrReplaced},
		"replaced": {func(path string) error {
			if err := os.WriteFile(path+".new", []byte("one\n"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, ErrReplaced},
		"its directory replaced": {func(path string) error {
			dir := filepath.Dir(path)
			if err := os.Rename(dir, dir+".old"); err != nil {
				return err
			}
			return os.WriteFile(dir, nil, 0o600)
		}, ErrReplaced},
		"emptied":   {func(path string) error { return os.Truncate(path, 0) }, ErrShortened},
		"shortened": {func(path string) error { return os.Truncate(path, 3) }, ErrShortened},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "dir")
			require.NoError(t, os.Mkdir(dir, 0o700))
			f := open(t, filepath.Join(dir, "journal"), 0)
			_, err := f.Append([]byte("one\n"))
			require.NoError(t, err)
			require.NoError(t, f.Do())
			st := f.State()
			require.NoError(t, c.meddle(f.Path()))

			_, err = f.Append([]byte("two\n"))
			require.ErrorIs(t, err, c.want)
			_, err = f.WriteAt([]byte("two\n"), 0)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, f.Truncate(0), c.want)
			require.ErrorIs(t, f.Rename(f.Path()+"2"), c.want)
			require.ErrorIs(t, f.Sync(), c.want)
			require.Empty(t, f.State().Pending)
			require.NoError(t, f.Do())

			backup, err := BackupOpenFile(st)
			if c.want == ErrReplaced {
				require.ErrorIs(t, err, ErrReplaced)
				return
			}
			require.NoError(t, err)
			defer backup.Close()
			require.NoError(t, backup.SetState(st))
			_, err = backup.Append([]byte("two\n"))
			require.ErrorIs(t, err, ErrShortened)
		})
	}
}

// A backup that has opened the file besides the primary, or was given its descriptor, finishes what is pending in that file,
// whatever its name leads to by then.
func TestWhatIsPendingIsFinishedInTheFileItWasPlannedFor(t *testing.T) {
	t.Parallel()
	for _, given := range []bool{false, true} {
		f := open(t, filepath.Join(t.TempDir(), "journal"), 0)
		backup, err := BackupOpenFile(f.State())
		require.NoError(t, err)
		_, err = f.Append([]byte("one\n"))
		require.NoError(t, err)
		require.NoError(t, os.Rename(f.Path(), f.Path()+".old"))
		require.NoError(t, os.WriteFile(f.Path(), []byte("another's"), 0o600))
		if given {
			require.NoError(t, backup.Close())
			backup, err = BackupOpenFile(f.State(), dup(t, f.FDs()[0]))
			require.NoError(t, err)
		}
		finishElsewhere(t, f, backup)
		require.NoError(t, backup.Close())
	}
	f, other := open(t, filepath.Join(t.TempDir(), "one"), 0), open(t, filepath.Join(t.TempDir(), "other"), 0)
	_, err := BackupOpenFile(f.State(), dup(t, other.FDs()[0]))
	require.ErrorIs(t, err, ErrNotThis)
	_, err = BackupOpenFile(f.State(), dup(t, f.FDs()[0]), dup(t, f.FDs()[0]))
	require.ErrorIs(t, err, ErrNotThis)
}

// dup is a descriptor as it is when it has been passed.
func dup(t *testing.T, fd int) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	return fd
}

func finishElsewhere(t *testing.T, f, backup *File) {
	t.Helper()
	require.NoError(t, backup.SetState(carried(t, f.State())))
	require.NoError(t, backup.Do())
	require.Equal(t, "one\n", content(t, f.Path()+".old"))
	require.Equal(t, "another's", content(t, f.Path()))
	_, err := backup.Append([]byte("two\n"))
	require.ErrorIs(t, err, ErrReplaced)
}

func TestWhatIsPendingForAFileThatIsShortenedMeanwhileIsNotWritten(t *testing.T) {
	t.Parallel()
	f := open(t, filepath.Join(t.TempDir(), "journal"), 0)
	_, err := f.Append([]byte("one\n"))
	require.NoError(t, err)
	require.NoError(t, f.Do())
	_, err = f.Append([]byte("two\n"))
	require.NoError(t, err)
	require.NoError(t, os.Truncate(f.Path(), 2))
	require.ErrorIs(t, f.Do(), ErrShortened)
	require.Equal(t, "on", content(t, f.Path()))
}

func TestWhatOthersAppendIsNotOverwritten(t *testing.T) {
	t.Parallel()
	f := open(t, filepath.Join(t.TempDir(), "journal"), 0)
	other, err := os.OpenFile(f.Path(), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	defer other.Close()
	for _, line := range []string{"one\n", "two\n"} {
		_, err = f.Append([]byte(line))
		require.NoError(t, err)
		require.NoError(t, f.Do())
		_, err = other.WriteString("theirs\n")
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	require.Equal(t, "one\ntheirs\ntwo\ntheirs\n", content(t, other.Name()))
}

func TestWhatCannotBeDoneIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := open(t, filepath.Join(dir, "file"), 0)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "directory"), 0o700))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))

	require.ErrorIs(t, f.Rename(filepath.Join(dir, "directory")), unix.EISDIR)
	require.ErrorIs(t, f.Rename(filepath.Join(dir, "nowhere", "file")), unix.ENOENT)
	require.ErrorIs(t, f.Rename("/proc/file"), unix.EXDEV)
	require.ErrorIs(t, f.Truncate(-1), unix.EINVAL)
	_, err := f.WriteAt([]byte("x"), -1)
	require.ErrorIs(t, err, unix.EINVAL)
	_, err = f.WriteAt([]byte("x"), 1<<63-1)
	require.ErrorIs(t, err, unix.EINVAL)
	_, err = f.WriteAt([]byte("x"), 1<<62)
	require.ErrorIs(t, err, unix.EFBIG)
	_, err = f.ReadAt(make([]byte, 1), -1)
	require.ErrorIs(t, err, unix.EINVAL)
	require.Empty(t, f.State().Pending)

	for _, path := range []string{"directory", "pipe", "nothing"} {
		_, err = OpenFile(filepath.Join(dir, path), 0, 0)
		require.Error(t, err, path)
	}
	_, err = OpenFile(f.Path(), os.O_CREATE|os.O_EXCL, 0)
	require.ErrorIs(t, err, os.ErrExist)
	_, err = OpenFile(f.Path(), 0, MaxDepth+1)
	require.ErrorIs(t, err, unix.EINVAL)

	other := open(t, filepath.Join(dir, "other"), 0)
	require.ErrorIs(t, f.SetState(other.State()), ErrNotThis)
}
