package mount

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"syscall"

	nodefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// tree is what all nodes share.
type tree struct {
	fsys  fs.FS
	log   *slog.Logger
	owner fuse.Owner
}

// node is a file or directory: no more than its path, for all else is asked anew each time.
type node struct {
	nodefs.Inode
	*tree
	path string
}

var (
	_ nodefs.NodeLookuper  = (*node)(nil)
	_ nodefs.NodeReaddirer = (*node)(nil)
	_ nodefs.NodeGetattrer = (*node)(nil)
	_ nodefs.NodeOpener    = (*node)(nil)
)

func newRoot(fsys fs.FS, log *slog.Logger) *node {
	return &node{tree: &tree{fsys: fsys, log: log, owner: fuse.Owner{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}}, path: "."}
}

// Lookup finds a name in a directory.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*nodefs.Inode, syscall.Errno) {
	child := &node{tree: n.tree, path: path.Join(n.path, name)}
	info, err := fs.Stat(n.fsys, child.path)
	if err != nil {
		return nil, n.errno("stat", err)
	}
	n.attributes(info, &out.Attr)
	return n.NewInode(ctx, child, nodefs.StableAttr{Mode: typeOf(info.Mode()), Ino: number(child.path, info.Mode())}), 0
}

// Readdir lists a directory.
func (n *node) Readdir(context.Context) (nodefs.DirStream, syscall.Errno) {
	entries, err := fs.ReadDir(n.fsys, n.path)
	if err != nil {
		return nil, n.errno("list", err)
	}
	list := make([]fuse.DirEntry, len(entries))
	for i, e := range entries {
		list[i] = fuse.DirEntry{Name: e.Name(), Mode: typeOf(e.Type()), Ino: number(path.Join(n.path, e.Name()), e.Type())}
	}
	return nodefs.NewListDirStream(list), 0
}

// Getattr tells the attributes of a file as it is now, though it may be open: the kernel does not say whether they are asked of a path or
// of a descriptor, nor which.
func (n *node) Getattr(_ context.Context, _ nodefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	info, err := fs.Stat(n.fsys, n.path)
	if err != nil {
		return n.errno("stat", err)
	}
	n.attributes(info, &out.Attr)
	return 0
}

// Open opens a file. It is read from here and not from the kernel's memory (FOPEN_DIRECT_IO).
func (n *node) Open(_ context.Context, flags uint32) (nodefs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	h, err := n.open()
	if err != nil {
		return nil, 0, n.errno("open", err)
	}
	return h, fuse.FOPEN_DIRECT_IO, 0
}

// open opens the node's file. One that cannot be read at an offset is read at once.
func (n *node) open() (*handle, error) {
	f, err := n.fsys.Open(n.path)
	if err != nil {
		return nil, err
	}
	if at, ok := f.(io.ReaderAt); ok {
		return &handle{tree: n.tree, file: f, at: at}, nil
	}
	text, err := io.ReadAll(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &handle{tree: n.tree, file: f, at: bytes.NewReader(text)}, nil
}

// handle is an open file.
type handle struct {
	*tree
	file fs.File
	at   io.ReaderAt
}

var (
	_ nodefs.FileReader   = (*handle)(nil)
	_ nodefs.FileReleaser = (*handle)(nil)
)

// Read reads at an offset; less than was asked for at the end of the file only.
func (h *handle) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n, err := h.at.ReadAt(dest, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, h.errno("read", err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

// Release closes the file.
func (h *handle) Release(context.Context) syscall.Errno {
	if err := h.file.Close(); err != nil {
		return h.errno("close", err)
	}
	return 0
}

// attributes fills in what stat(2) tells. Everything belongs to whoever has mounted it.
func (t *tree) attributes(info fs.FileInfo, out *fuse.Attr) {
	out.Mode = typeOf(info.Mode()) | uint32(info.Mode().Perm())
	out.Nlink = 1
	out.Owner = t.owner
	if info.Mode().IsRegular() {
		out.Size = uint64(max(info.Size(), 0))
		out.Blocks = (out.Size + 511) / 512
	}
	if mod := info.ModTime(); !mod.IsZero() {
		out.SetTimes(&mod, &mod, &mod)
	}
}

// typeOf returns the type of a file as stat(2) has it; 0 of what is neither a directory nor a file, which is shown as what it leads to.
func typeOf(mode fs.FileMode) uint32 {
	switch {
	case mode.IsDir():
		return syscall.S_IFDIR
	case mode.IsRegular():
		return syscall.S_IFREG
	}
	return 0
}

// number returns the inode number of a path: always the same, so that the kernel knows a file again.
func number(path string, mode fs.FileMode) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	_, _ = h.Write([]byte{0, byte(typeOf(mode) >> 12)})
	return h.Sum64()>>2 | 1<<62 // neither the root's nor one of those that the library gives out
}

// errno returns what a system call fails with.
func (t *tree) errno(op string, err error) syscall.Errno {
	var number syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, fs.ErrPermission):
		return syscall.EACCES
	case errors.As(err, &number):
		return number
	case errors.Is(err, fs.ErrInvalid):
		return syscall.EINVAL
	}
	t.log.Warn("cannot "+op+" what was asked for through the mounted tree", "error", err)
	return syscall.EIO
}
