package tree

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Source is where the tree's records come from; each call gives the present ones, which are not changed.
type Source interface {
	Root(ctx context.Context) (core.Root, error)
	// Entities returns the names of all entities, the global one among them, in the order of their declaration.
	Entities(ctx context.Context) ([]string, error)
	// Entity returns a record and when the last heartbeat was seen (zero: none was). If there is no such entity the error
	// has fs.ErrNotExist in its chain.
	Entity(ctx context.Context, name string) (*core.Entity, time.Time, error)
	// Running returns the action lists in flight, first those that came first.
	Running(ctx context.Context) ([]core.Job, error)
	// History returns the last happenings, oldest first.
	History(ctx context.Context) ([]core.Happening, error)
}

// FS is the tree as a file system. It may be used by any number of goroutines at once if its Source may.
type FS struct {
	ctx    context.Context
	source Source
}

var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.ReadFileFS = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
)

// New returns the tree of s. Everything that s is asked for it is asked with ctx, since an fs.FS has no other way to pass one.
func New(ctx context.Context, s Source) *FS { return &FS{ctx: ctx, source: s} }

const (
	dirMode  = fs.ModeDir | 0o500
	fileMode = fs.FileMode(0o400)
)

// Open implements fs.FS. Later changes of HAM are not seen in a file that is open.
func (t *FS) Open(name string) (fs.File, error) {
	n, err := t.node("open", name)
	if err != nil {
		return nil, err
	}
	if n.list == nil {
		return &openFile{Reader: bytes.NewReader(n.text), info: n.info()}, nil
	}
	entries, err := t.entries("open", name, n)
	if err != nil {
		return nil, err
	}
	return &openDir{info: n.info(), name: name, left: entries}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *FS) ReadFile(name string) ([]byte, error) {
	n, err := t.node("read", name)
	if err == nil && n.list != nil {
		err = &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	return n.text, nil
}

// Stat implements fs.StatFS. The size of a file is that of its present text.
func (t *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := t.node("stat", name)
	if err != nil {
		return nil, err
	}
	return n.info(), nil
}

// ReadDir implements fs.ReadDirFS: the entries come sorted by name.
func (t *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.node("readdir", name)
	if err == nil && n.list == nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	return t.entries("readdir", name, n)
}

// node finds what has a path.
func (t *FS) node(op, name string) (*node, error) {
	n, err := t.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	n.name = path.Base(name)
	return n, nil
}

func (t *FS) entries(op, name string, n *node) ([]fs.DirEntry, error) {
	names, err := n.list()
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	slices.SortFunc(names, func(a, b listed) int { return strings.Compare(a.name, b.name) })
	entries := make([]fs.DirEntry, len(names))
	for i, l := range names {
		entries[i] = &entry{listed: l, tree: t, path: path.Join(name, l.name)}
	}
	return entries, nil
}

// info implements fs.FileInfo.
type info struct {
	name string
	size int64
	mode fs.FileMode
	mod  time.Time
}

func (n *node) info() *info {
	i := &info{name: n.name, size: int64(len(n.text)), mode: fileMode, mod: n.mod}
	if n.list != nil {
		i.mode = dirMode
	}
	return i
}

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return i.size }
func (i *info) Mode() fs.FileMode  { return i.mode }
func (i *info) ModTime() time.Time { return i.mod }
func (i *info) IsDir() bool        { return i.mode.IsDir() }
func (i *info) Sys() any           { return nil }
func (i *info) String() string     { return fs.FormatFileInfo(i) }

// entry implements fs.DirEntry. Its file is generated when Info is called, not before.
type entry struct {
	listed
	tree *FS
	path string
}

func (e *entry) Name() string               { return e.name }
func (e *entry) IsDir() bool                { return e.dir }
func (e *entry) Info() (fs.FileInfo, error) { return e.tree.Stat(e.path) }
func (e *entry) String() string             { return fs.FormatDirEntry(e) }
func (e *entry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}

// openFile implements fs.File, io.ReaderAt and io.Seeker.
type openFile struct {
	*bytes.Reader
	info *info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

// openDir implements fs.ReadDirFile.
type openDir struct {
	info *info
	name string
	left []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fs.ErrInvalid}
}

// ReadDir returns the next n entries, or with n <= 0 all that are left.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.left) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.left) {
		n = len(d.left)
	}
	next := d.left[:n:n]
	d.left = d.left[n:]
	return next, nil
}
