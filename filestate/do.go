package filestate

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Do does everything that is pending. It may be called again, in this process or in another that was given the State, after
// an error or a death at any instruction: what is done again changes nothing. On error everything stays pending.
//
// ErrShortened: somebody else has cut the file since; nothing is written then.
//
// After a takeover the old primary must be proven dead before (a fence): a write of it that is still under way could
// otherwise undo a later one of ours.
func (f *File) Do() error {
	if err := f.Apply(); err != nil {
		return err
	}
	return f.save()
}

// Apply is Do without the fsync at its end: that one is left for the next Do. It is for several plans that are to be
// brought to the disk together.
func (f *File) Apply() error {
	if len(f.st.Pending) == 0 {
		return nil
	}
	f.active = true
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return f.cannot(f.st.Pending[0].Kind, err)
	}
	if err := f.checkSize(st.Size); err != nil {
		return f.cannot(f.st.Pending[0].Kind, err)
	}
	if err := f.note(false); err != nil {
		return err
	}
	for _, s := range steps(f.st.Pending) {
		if err := f.do(&s); err != nil {
			return f.cannot(s.op.Kind, err)
		}
	}
	if err := f.note(true); err != nil {
		return err
	}
	f.st.Pending, f.st.Floor = nil, f.st.Size
	if f.excess {
		f.release()
	}
	f.Keep()
	return nil
}

// note keeps what is pending as begun or as done, for those who repeat it.
func (f *File) note(done bool) error {
	if f.results == nil {
		return nil
	}
	for i := range f.st.Pending {
		op := &f.st.Pending[i]
		r := result{id: op.ID, kind: op.Kind, done: done, off: op.Off, len: int64(len(op.Data)), size: f.st.Size}
		if err := f.results.put(&r); err != nil {
			return f.cannot(op.Kind, err)
		}
	}
	return nil
}

func (f *File) do(s *step) error {
	switch s.kind {
	case stepWrite:
		return f.pwrite(s.op.Data, s.op.Off)
	case stepPunch:
		return f.punch(s.hole)
	case stepCut:
		f.ahead = span{}
		return f.truncate(s.hole.from)
	case stepSync:
		f.st.Unsaved = true
	case stepRename:
		if err := f.saveData(); err != nil {
			return err
		}
		f.st.Unnamed = true
		return f.rename(s.op, s.later)
	}
	return nil
}

func (f *File) pwrite(b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(f.fd, b, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

func (f *File) truncate(size int64) error {
	for {
		if err := unix.Ftruncate(f.fd, size); err != unix.EINTR {
			return err
		}
	}
}

// rename does op unless it, or a rename that follows it, has been done.
func (f *File) rename(op *Op, later []Op) error {
	if f.is(op.From) {
		return unix.Rename(op.From, op.Path)
	}
	if f.is(op.Path) {
		return nil
	}
	for i := range later {
		if l := &later[i]; l.Kind == OpRename && f.is(l.Path) {
			return nil
		}
	}
	return ErrReplaced
}

// is tells whether path leads to this file.
func (f *File) is(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && f.st.is(&st)
}

// save brings what was written, and the name, to the disk, if that was planned.
func (f *File) save() error {
	if !f.st.Unsaved {
		return nil
	}
	if f.st.Unnamed {
		if err := syncDir(filepath.Dir(f.st.Path)); err != nil {
			return f.cannot(OpSync, err)
		}
		f.st.Unnamed = false
	}
	if err := f.saveData(); err != nil {
		return f.cannot(OpSync, err)
	}
	return nil
}

func (f *File) saveData() error {
	if !f.st.Unsaved {
		return nil
	}
	if err := unix.Fsync(f.fd); err != nil {
		return err
	}
	f.st.Unsaved = false
	return nil
}

func syncDir(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
