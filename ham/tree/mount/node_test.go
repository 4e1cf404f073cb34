package mount

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	nodefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

// raw asks the nodes of a tree what the kernel would ask.
type raw struct {
	fuse.RawFileSystem
	log *bytes.Buffer
}

func newRaw(fsys fs.FS) raw {
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	return raw{nodefs.NewNodeFS(newRoot(fsys, logger), options(logger)), log}
}

func header(node uint64) fuse.InHeader { return fuse.InHeader{NodeId: node} }

func (r raw) lookup(node uint64, name string) (fuse.EntryOut, syscall.Errno) {
	var out fuse.EntryOut
	h := header(node)
	status := r.Lookup(nil, &h, name, &out)
	return out, syscall.Errno(status)
}

func (r raw) walk(t *testing.T, names ...string) fuse.EntryOut {
	out := fuse.EntryOut{NodeId: fuse.FUSE_ROOT_ID}
	for _, name := range names {
		var errno syscall.Errno
		out, errno = r.lookup(out.NodeId, name)
		require.Zero(t, errno, name)
	}
	return out
}

// read opens a file and reads all of it, in pieces.
func (r raw) read(t *testing.T, node uint64) string {
	var opened fuse.OpenOut
	require.Equal(t, fuse.OK, r.Open(nil, &fuse.OpenIn{InHeader: header(node)}, &opened))
	require.NotZero(t, opened.OpenFlags&fuse.FOPEN_DIRECT_IO, "the kernel would keep the text")
	var text []byte
	for {
		buf := make([]byte, 7)
		res, status := r.Read(nil, &fuse.ReadIn{InHeader: header(node), Fh: opened.Fh, Offset: uint64(len(text)), Size: 7}, buf)
		require.Equal(t, fuse.OK, status)
		piece, status := res.Bytes(buf)
		require.Equal(t, fuse.OK, status)
		if text = append(text, piece...); len(piece) < 7 {
			break
		}
	}
	var out fuse.AttrOut
	require.Equal(t, fuse.OK, r.GetAttr(nil, &fuse.GetAttrIn{InHeader: header(node), Flags_: fuse.FUSE_GETATTR_FH, Fh_: opened.Fh}, &out))
	require.Equal(t, uint64(len(text)), out.Size)
	r.Release(nil, &fuse.ReleaseIn{InHeader: header(node), Fh: opened.Fh})
	return string(text)
}

func TestNodesAreTheFilesOfTheTree(t *testing.T) {
	t.Parallel()
	tree := sampleFS()
	mod := time.Date(2001, 8, 30, 23, 4, 49, 930148650, time.UTC)
	tree["e/death/.info"].ModTime = mod
	r := newRaw(tree)
	for path, names := range map[string][]string{".info": {".info"}, "e/.info": {"e", ".info"}, "e/death/.info": {"e", "death", ".info"}, "e/death/empty": {"e", "death", "empty"}} {
		entry := r.walk(t, names...)
		require.Equal(t, uint64(len(tree[path].Data)), entry.Size)
		require.Equal(t, uint32(syscall.S_IFREG|0o400), entry.Mode)
		require.Equal(t, uint32(os.Geteuid()), entry.Uid, "it belongs to who has mounted it")
		require.Zero(t, entry.EntryTimeout()+entry.AttrTimeout(), "the kernel keeps nothing")
		require.Equal(t, string(tree[path].Data), r.read(t, entry.NodeId))
		again := r.walk(t, names...)
		require.Equal(t, entry.NodeId, again.NodeId, "the kernel knows a file again")
	}
	entry := r.walk(t, "e", "death", ".info")
	require.Equal(t, []int64{mod.Unix(), int64(mod.Nanosecond())}, []int64{int64(entry.Mtime), int64(entry.Mtimensec)})
	require.Equal(t, uint32(syscall.S_IFDIR|0o500), r.walk(t, "e").Mode)
	var root fuse.AttrOut
	require.Equal(t, fuse.OK, r.GetAttr(nil, &fuse.GetAttrIn{InHeader: header(fuse.FUSE_ROOT_ID)}, &root))
	require.Equal(t, uint32(syscall.S_IFDIR|0o500), root.Mode)
}

func TestNothingIsOpenedForWriting(t *testing.T) {
	t.Parallel()
	r := newRaw(sampleFS())
	entry := r.walk(t, ".info")
	for _, flags := range []uint32{syscall.O_WRONLY, syscall.O_RDWR} {
		require.Equal(t, fuse.Status(syscall.EROFS), r.Open(nil, &fuse.OpenIn{InHeader: header(entry.NodeId), Flags: flags}, &fuse.OpenOut{}))
	}
}

// failing is a tree in which every file fails with its error, and the directory can be listed or not.
type failing map[string]error

func (f failing) Open(name string) (fs.File, error) {
	if err, ok := f[name]; ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return fstest.MapFS{}.Open(name)
}

func TestErrorsHaveTheirNumbers(t *testing.T) {
	t.Parallel()
	r := newRaw(failing{
		"gone": fs.ErrNotExist, "secret": fs.ErrPermission, "busy": syscall.EBUSY, "wrong": fs.ErrInvalid, "down": errors.New("no connection to HAM"),
	})
	for name, want := range map[string]syscall.Errno{"gone": syscall.ENOENT, "nobody": syscall.ENOENT, "secret": syscall.EACCES, "busy": syscall.EBUSY, "wrong": syscall.EINVAL} {
		_, errno := r.lookup(fuse.FUSE_ROOT_ID, name)
		require.Equal(t, want, errno, name)
	}
	require.Empty(t, r.log.String(), "what has a number is for who asked, and not for the log")
	_, errno := r.lookup(fuse.FUSE_ROOT_ID, "down")
	require.Equal(t, syscall.EIO, errno)
	require.Contains(t, r.log.String(), "no connection to HAM")
}

// stream is a file that can only be read from its beginning to its end.
type stream struct {
	io.Reader
	info   fs.FileInfo
	closed *int
	fails  string // which of its methods fails
}

var errStream = fmt.Errorf("the stream has dried up: %w", syscall.EPIPE)

func (s *stream) Stat() (fs.FileInfo, error) { return s.info, nil }

func (s *stream) Read(b []byte) (int, error) {
	if s.fails == "read" {
		return 0, errStream
	}
	return s.Reader.Read(b)
}

func (s *stream) Close() error {
	*s.closed++
	if s.fails == "close" {
		return errStream
	}
	return nil
}

// streams is a tree of one stream. It tells Stat of it by itself, so that only who opens it meets its faults.
type streams struct {
	opened, closed int
	fails          string
}

func (s *streams) Open(string) (fs.File, error) {
	s.opened++
	info, _ := s.Stat("")
	return &stream{Reader: bytes.NewBufferString("drop by drop"), info: info, closed: &s.closed, fails: s.fails}, nil
}

func (s *streams) Stat(string) (fs.FileInfo, error) {
	return fs.Stat(fstest.MapFS{"s": {Data: []byte("drop by drop"), Mode: 0o400}}, "s")
}

func TestWhatCannotBeReadAtAnOffsetIsReadAtOnce(t *testing.T) {
	t.Parallel()
	s := &streams{}
	r := newRaw(s)
	require.Equal(t, "drop by drop", r.read(t, r.walk(t, "s").NodeId))
	require.Equal(t, []int{1, 1}, []int{s.opened, s.closed})
	s.fails = "read"
	require.Equal(t, fuse.Status(syscall.EPIPE), r.Open(nil, &fuse.OpenIn{InHeader: header(r.walk(t, "s").NodeId)}, &fuse.OpenOut{}))
	require.Equal(t, s.opened, s.closed, "no file is left open")
	s.fails = "close"
	require.Equal(t, "drop by drop", r.read(t, r.walk(t, "s").NodeId))
	require.Equal(t, s.opened, s.closed)
}

func TestNumbersOfFilesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	for i := range 10_000 {
		for _, mode := range []fs.FileMode{0o400, fs.ModeDir | 0o500} {
			name := fmt.Sprintf("e%d/%v", i, mode)
			n := number(fmt.Sprintf("e%d", i), mode)
			require.Empty(t, seen[n], "%s", name)
			require.Greater(t, n, uint64(1<<62-1))
			require.Less(t, n, uint64(1<<63))
			seen[n] = name
		}
	}
}
