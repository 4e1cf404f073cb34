package filestate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// File is a regular file whose changes are planned, checkpointed with its State, and then done.
//
// Append, WriteAt, Truncate, Rename and Sync plan an operation: they find out whether it can be done, reserve the space
// that it needs, and fix its offset, but leave the file as it is. Do does what is planned. Between the two the program
// checkpoints the State; so whoever holds it can do the same again, and ends with the same file. Undo gives up what was planned
// since Keep.
//
// A program that does without that checkpoint, as NonStop's do with up to sync depth operations, is told what became of an
// operation that it repeats: see OpenFile. A File is for one goroutine at a time.
type File struct {
	fd      int
	st      FileState
	ahead   span // reserved for appends
	active  bool // this process has planned or done something here
	kept    mark
	results *results // nil with a sync depth of 0
	repeat  uint64   // sync ID of the next operation; 0: the next one
	excess  bool     // space is reserved that nobody needs
}

// FileState is what a member must know of a File to open it for itself (BackupOpenFile) and to go on with it (SetState).
// It shares nothing that changes with the File.
type FileState struct {
	Path    string `msgpack:"path"` // absolute; after what is pending
	Dev     uint64 `msgpack:"dev"`
	Ino     uint64 `msgpack:"ino"`
	Depth   int    `msgpack:"depth"`
	Size    int64  `msgpack:"size"`              // where the next append goes: after what is pending
	Floor   int64  `msgpack:"floor"`             // it has never been shorter, unless somebody else has cut it
	ID      uint64 `msgpack:"id"`                // sync ID of the last operation planned
	Unnamed bool   `msgpack:"unnamed,omitempty"` // its name may not be on the disk yet
	Unsaved bool   `msgpack:"unsaved,omitempty"` // what was done is still to be brought to the disk: a Sync was planned
	Pending []Op   `msgpack:"pending,omitempty"` // planned, and perhaps not done
}

// mark is what Undo goes back to.
type mark struct {
	ops   int
	size  int64
	floor int64
	id    uint64
	path  string
}

// OpenFile opens, or with os.O_CREATE makes, the regular file at path for reading and writing. Of flags it knows os.O_CREATE
// and os.O_EXCL; the umask decides who may read a new file.
//
// depth is the sync depth, 0 to MaxDepth, with the meaning of nonstop.md §4.2: the results of the last depth operations
// are kept where both members see them (FDs), and one that is repeated with its sync ID is answered from there. The
// IDs count up by themselves, so a backup that goes on from an older State and does the same as the primary did repeats with the
// same IDs. With depth 0 nothing is kept: what was done without a checkpoint is done twice.
//
// ErrNoReserve: its file system cannot set space aside (fallocate with its flags to keep the size and to punch holes), and
// so could not keep the promise that what is planned can be done.
func OpenFile(path string, flags, depth int) (*File, error) {
	f, err := openFile(path, flags, depth)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	return f, nil
}

func openFile(path string, flags, depth int) (*File, error) {
	if depth < 0 || depth > MaxDepth {
		return nil, fmt.Errorf("a sync depth of %d, expected 0 to %d: %w", depth, MaxDepth, unix.EINVAL)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, st, err := openRegular(path, flags&(os.O_CREATE|os.O_EXCL))
	if err != nil {
		return nil, err
	}
	f.st = FileState{Path: path, Dev: st.Dev, Ino: st.Ino, Depth: depth, Size: st.Size, Floor: st.Size, Unnamed: flags&os.O_CREATE != 0}
	f.Keep()
	if err := f.probe(); err != nil {
		_ = f.Close()
		return nil, err
	}
	if depth > 0 {
		if f.results, err = newResults(depth); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	return f, nil
}

// openRegular opens path unless it is something else than a regular file, such as a pipe, which would wait for a reader.
func openRegular(path string, flags int) (*File, *unix.Stat_t, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0o666)
	if err != nil {
		return nil, nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("not a regular file")
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, nil, err
	}
	return &File{fd: fd}, &st, nil
}

// BackupOpenFile opens the file of a State in the other member, besides the primary. fds are those that FDs returned there,
// as they came over a unix socket (SCM_RIGHTS); they belong to the File, also if there is an error. With a sync depth of 0
// they may be left out: then the file is found by its name, or it is ErrReplaced. ErrNotThis: they are of another file.
//
// It does not take the position over: SetState does (NonStop's __ns_backup_fopen and __ns_fset_file_state).
func BackupOpenFile(st FileState, fds ...int) (*File, error) {
	f, err := backupOpenFile(st, fds)
	if err != nil {
		closeAll(fds)
		return nil, fmt.Errorf("cannot open %s for the backup: %w", st.Path, err)
	}
	return f, nil
}

func backupOpenFile(st FileState, fds []int) (f *File, err error) {
	switch {
	case st.Depth < 0 || st.Depth > MaxDepth:
		err = fmt.Errorf("a sync depth of %d: %w", st.Depth, ErrNotThis)
	case len(fds) == 0 && st.Depth == 0:
		f, err = st.find()
	case len(fds) == 1 && st.Depth == 0, len(fds) == 2 && st.Depth > 0:
		f, err = st.reopen(fds[0])
	default:
		err = fmt.Errorf("sync depth %d with %d descriptors: %w", st.Depth, len(fds), ErrNotThis)
	}
	if err != nil {
		return nil, err
	}
	if st.Depth > 0 {
		if f.results, err = openResults(fds[1], st.Depth); err != nil {
			_ = unix.Close(f.fd)
			return nil, err
		}
	}
	if len(fds) > 0 {
		_ = unix.Close(fds[0])
	}
	f.st = st
	f.st.Pending = nil
	f.Keep()
	return f, nil
}

// reopen opens the file behind fd once more, whatever its name is by now. An open file of our own is told of errors of the disk
// apart from the primary's: a shared one would tell each of them to one of the two only.
func (st *FileState) reopen(fd int) (*File, error) {
	f, got, err := openRegular("/proc/self/fd/"+strconv.Itoa(fd), 0)
	if err != nil {
		return nil, err
	}
	if !st.is(got) {
		_ = unix.Close(f.fd)
		return nil, ErrNotThis
	}
	return f, nil
}

// find opens the file under one of the names that it may have.
func (st *FileState) find() (*File, error) {
	var last error
	for _, name := range st.names() {
		f, got, err := openRegular(name, 0)
		switch {
		case err != nil:
			last = err
		case !st.is(got):
			_ = unix.Close(f.fd)
		default:
			return f, nil
		}
	}
	if last == nil || last == unix.ENOENT || last == unix.ENOTDIR {
		last = ErrReplaced
	}
	return nil, last
}

// is tells whether st is of this file.
func (st *FileState) is(got *unix.Stat_t) bool { return got.Dev == st.Dev && got.Ino == st.Ino }

// names are those that the file may have, as far as renames are pending.
func (st *FileState) names() []string {
	names := []string{st.Path}
	for i := range st.Pending {
		if op := &st.Pending[i]; op.Kind == OpRename {
			names = append(names, op.From)
		}
	}
	return names
}

// FDs returns the descriptors that the other member takes for BackupOpenFile. They belong to the File.
func (f *File) FDs() []int {
	if f.results == nil {
		return []int{f.fd}
	}
	return []int{f.fd, f.results.fd}
}

// State returns what the backup must know, to be checkpointed.
func (f *File) State() FileState {
	st := f.st
	st.Pending = st.Pending[:len(st.Pending):len(st.Pending)]
	return st
}

// SetState takes over what the other member has checkpointed. What is pending there may have been done, or half done: the
// next thing must be Do, once that other member is known to be dead. ErrNotThis: the state is of another file; ErrUnknown: it
// has operations that this version of the program cannot do.
func (f *File) SetState(st FileState) error {
	if st.Dev != f.st.Dev || st.Ino != f.st.Ino || st.Depth != f.st.Depth {
		return fmt.Errorf("cannot set the state of %s: %w", f.st.Path, ErrNotThis)
	}
	for i := range st.Pending {
		if op := &st.Pending[i]; !op.known() {
			return fmt.Errorf("cannot set the state of %s: %v of %d bytes at %d: %w", f.st.Path, op.Kind, len(op.Data), op.Off, ErrUnknown)
		}
	}
	f.st = st
	f.st.Pending = st.Pending[:len(st.Pending):len(st.Pending)]
	f.ahead, f.excess, f.active, f.repeat = span{}, false, false, 0
	f.Keep()
	return nil
}

// Path returns the name of the file, Size its size, both after what is pending.
func (f *File) Path() string { return f.st.Path }

// Size returns the size of the file after what is pending.
func (f *File) Size() int64 { return f.st.Size }

// ReadAt reads what the file will hold when everything pending has been done. It is an io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("cannot read %s at %d: %w", f.st.Path, off, unix.EINVAL)
	}
	want := int(min(int64(len(b)), max(f.st.Size-off, 0)))
	got := 0
	for got < want {
		n, err := unix.Pread(f.fd, b[got:want], off+int64(got))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("cannot read %s: %w", f.st.Path, err)
		}
		if n == 0 {
			break
		}
		got += n
	}
	clear(b[got:want])
	overlay(b[:want], off, f.st.Pending)
	if want < len(b) {
		return want, io.EOF
	}
	return want, nil
}

// Close closes the file. Space that was reserved ahead is given back, unless something is pending, which another member
// may be about to do.
func (f *File) Close() error {
	if f.fd < 0 {
		return nil
	}
	if f.active && len(f.st.Pending) == 0 {
		f.release()
	}
	if f.results != nil {
		_ = unix.Close(f.results.fd)
	}
	err := unix.Close(f.fd)
	f.fd = -1
	return err
}

var (
	_ io.ReaderAt = (*File)(nil)
	_ io.WriterAt = (*File)(nil)
)
