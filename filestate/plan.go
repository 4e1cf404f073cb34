package filestate

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Append plans to write b at the end of the file and returns the offset where that will be. b is copied.
func (f *File) Append(b []byte) (off int64, err error) {
	return f.plan(Op{Kind: OpWrite, Off: atEnd, Data: b})
}

// WriteAt plans to write b at off. It is an io.WriterAt; b is copied.
func (f *File) WriteAt(b []byte, off int64) (n int, err error) {
	if off < 0 || off > math.MaxInt64-int64(len(b)) {
		return 0, f.cannot(OpWrite, unix.EINVAL)
	}
	if _, err := f.plan(Op{Kind: OpWrite, Off: off, Data: b}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Truncate plans to make the file n bytes long.
func (f *File) Truncate(n int64) error {
	if n < 0 {
		return f.cannot(OpTruncate, unix.EINVAL)
	}
	_, err := f.plan(Op{Kind: OpTruncate, Off: n})
	return err
}

// Rename plans to give the file another name, in the same file system; what has that name now is replaced. The file that is
// open stays this one.
func (f *File) Rename(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return f.cannot(OpRename, err)
	}
	_, err = f.plan(Op{Kind: OpRename, From: f.st.Path, Path: path})
	return err
}

// Sync plans that everything planned before reaches the disk, and so outlives even the host. Several in one plan cost one
// fsync.
func (f *File) Sync() error {
	_, err := f.plan(Op{Kind: OpSync})
	return err
}

// SyncID returns the sync ID of the last operation planned; 0 before the first.
func (f *File) SyncID() uint64 { return f.st.ID }

// Repeat makes the next operation a repetition of the one with that sync ID: for operations whose order may change when they
// are repeated (AG-7-19). Those that are repeated in their old order, from the State before them, need it not.
func (f *File) Repeat(id uint64) { f.repeat = id }

// Keep makes Undo leave what is planned so far.
func (f *File) Keep() {
	st := &f.st
	f.kept = mark{ops: len(st.Pending), size: st.Size, floor: f.st.Floor, id: st.ID, path: st.Path}
}

// Undo gives up everything planned since Keep, SetState or Do.
func (f *File) Undo() error {
	st, k := &f.st, &f.kept
	var err error
	for id := k.id + 1; f.results != nil && id <= st.ID && err == nil; id++ {
		err = f.results.forget(id)
	}
	st.Pending = st.Pending[:k.ops:k.ops]
	st.Size, st.ID, st.Path, f.st.Floor = k.size, k.id, k.path, k.floor
	return err
}

// atEnd is the offset of an append that is not resolved yet.
const atEnd = -1

func (k OpKind) String() string {
	switch k {
	case OpWrite:
		return "write"
	case OpTruncate:
		return "truncate"
	case OpRename:
		return "rename"
	case OpSync:
		return "sync"
	}
	return fmt.Sprintf("operation %d", uint8(k))
}

func (f *File) cannot(k OpKind, err error) error {
	return fmt.Errorf("cannot %v %s: %w", k, f.st.Path, err)
}

// plan gives op its sync ID and makes it pending, unless its result is known already. It returns its offset.
func (f *File) plan(op Op) (off int64, err error) {
	f.active = true
	op.ID, f.repeat = f.repeat, 0
	if op.ID == 0 {
		op.ID = f.st.ID + 1
	}
	known, err := f.known(&op)
	if err != nil {
		return 0, f.cannot(op.Kind, err)
	}
	f.st.ID = max(f.st.ID, op.ID)
	if known != nil && known.done {
		return f.answer(&op, known)
	}
	if known != nil { // begun: it was found possible
		op.Off = known.off
	} else if err := f.admit(&op); err != nil {
		f.keepError(&op, err)
		return 0, f.cannot(op.Kind, err)
	}
	op.Data = bytes.Clone(op.Data)
	f.push(op)
	return op.Off, nil
}

func (f *File) push(op Op) {
	st := &f.st
	st.Pending = append(st.Pending, op)
	st.Size = sizeAfter(st.Size, st.Pending[len(st.Pending)-1:])
	switch op.Kind {
	case OpTruncate:
		st.Floor = min(st.Floor, op.Off)
	case OpRename:
		st.Path = op.Path
	}
}

// admit finds out whether op can be done, and makes sure that it stays so.
func (f *File) admit(op *Op) error {
	if err := f.check(); err != nil {
		return err
	}
	switch op.Kind {
	case OpWrite:
		if op.Off == atEnd {
			op.Off = f.st.Size
		}
		return f.reserve(op.Off, int64(len(op.Data)))
	case OpRename:
		return checkRename(op)
	}
	return nil
}

// check compares the file with what is known of it: one look at the path tells which file that is, and how long.
func (f *File) check() error {
	var st unix.Stat_t
	if err := unix.Stat(f.st.Path, &st); err != nil || !f.st.is(&st) {
		if err := f.checkNames(&st); err != nil {
			return err
		}
	}
	if err := f.checkSize(st.Size); err != nil {
		return err
	}
	if len(f.st.Pending) == 0 { // else it is not known what has been done of it
		f.st.Size = max(f.st.Size, st.Size)
	}
	return nil
}

// checkNames looks for the file under all of the names that it may have.
func (f *File) checkNames(st *unix.Stat_t) error {
	for _, name := range f.st.names() {
		err := unix.Stat(name, st)
		if err == nil && f.st.is(st) {
			return nil
		}
		if err != nil && err != unix.ENOENT && err != unix.ENOTDIR {
			return err
		}
	}
	return ErrReplaced
}

// checkSize makes sure that nothing is missing of a file that is now so long.
func (f *File) checkSize(size int64) error {
	if size < f.st.Floor {
		return fmt.Errorf("%w: %d bytes, expected at least %d", ErrShortened, size, f.st.Floor)
	}
	return nil
}

// checkRename finds out whether a rename will succeed, as far as that can be known.
func checkRename(op *Op) error {
	var from, to, there unix.Stat_t
	if err := unix.Stat(filepath.Dir(op.From), &from); err != nil {
		return err
	}
	dir := filepath.Dir(op.Path)
	if err := unix.Stat(dir, &to); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if from.Dev != to.Dev {
		return fmt.Errorf("%s: %w", dir, unix.EXDEV)
	}
	for _, d := range []string{filepath.Dir(op.From), dir} {
		if err := unix.Faccessat(unix.AT_FDCWD, d, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
	}
	if err := unix.Lstat(op.Path, &there); err == nil && there.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fmt.Errorf("%s: %w", op.Path, unix.EISDIR)
	}
	return nil
}

// Codes of results that are errors of this package; the others are error numbers.
const (
	codeReplaced  = -1
	codeShortened = -2
)

// known returns what is kept of an operation with the ID of op, nil if it is new.
func (f *File) known(op *Op) (*result, error) {
	if f.results == nil {
		return nil, nil
	}
	r, err := f.results.find(op.ID)
	if r == nil || err != nil {
		return nil, err
	}
	same := r.kind == op.Kind && r.len == int64(len(op.Data)) && (op.Off == atEnd || r.off == op.Off || r.code != 0)
	if !same {
		return nil, fmt.Errorf("%w: %v of %d bytes at %d, under ID %d", ErrDifferent, r.kind, r.len, r.off, r.id)
	}
	return r, nil
}

// answer repeats the result of an operation that was done before.
func (f *File) answer(op *Op, r *result) (off int64, err error) {
	switch {
	case r.code == codeReplaced:
		return 0, f.cannot(op.Kind, ErrReplaced)
	case r.code == codeShortened:
		return 0, f.cannot(op.Kind, ErrShortened)
	case r.code != 0:
		return 0, f.cannot(op.Kind, unix.Errno(r.code))
	}
	f.st.Size = r.size
	f.st.Floor = min(f.st.Floor, r.size)
	if op.Kind == OpRename {
		f.st.Path = op.Path
	}
	return r.off, nil
}

// keepError makes an error the result of op.
func (f *File) keepError(op *Op, err error) {
	if f.results == nil {
		return
	}
	r := result{id: op.ID, kind: op.Kind, done: true, off: op.Off, len: int64(len(op.Data)), code: int32(unix.EIO)}
	var errno unix.Errno
	switch {
	case errors.Is(err, ErrReplaced):
		r.code = codeReplaced
	case errors.Is(err, ErrShortened):
		r.code = codeShortened
	case errors.As(err, &errno):
		r.code = int32(errno)
	}
	_ = f.results.put(&r) // kept nowhere it would be tried again, which may only give a better result
}
