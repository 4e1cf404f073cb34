package pair

import (
	"io"
	"os"

	"github.com/1fb4ed1c/tandem/filestate"
	"github.com/1fb4ed1c/tandem/tracked"
)

// File is a regular file that the handlers of a service write. What a call does to it becomes real together with its
// reply: the operations are planned while the handler runs, with their offsets, and the space for them is reserved; they travel in
// the record of the call; and they are done between the commit and the reply, by the primary, or again by the one that takes over
// from it. So after any death the file holds the writes of every call that was answered once, and of a call that failed
// none.
//
// A File needs PrimaryComputes, for only then one member alone depends on the disk. Its methods are for handlers only.
//
// Errors before the commit are the call's: a full disk (ENOSPC, EDQUOT), or a file that was replaced or shortened behind
// our back ([filestate.ErrReplaced], [filestate.ErrShortened]; see Reopen). A disk that fails after the commit ends the
// member, so that the other one can try.
type File struct {
	svc  *Service
	id   uint64 // names its descriptor to the other member
	path string // where the first primary of an instance finds it, or makes it

	// What the record of a call carries: the file as it is when everything in todo has been done, and the operations
	// of the last call that touched it. When another call touches it they are done.
	state *tracked.Value[filestate.FileState]
	todo  *tracked.Queue[filestate.Op]

	file   *filestate.File // nil: not open here
	passed uint64          // inode of the one that the other member was given last
	gone   uint64          // inode of one that could not be found any more
	call   uint64          // the last one that touched it
	queued int             // operations of that call
	owes   bool            // something may be left to do
	unsure bool            // by another member, which may have stopped in the middle of it
}

// NewFile declares a file. The first primary of an instance opens it at path, or makes it, when a call first changes it; after
// that it is the file that counts, wherever Rename has put it. Declare it before Run, on every member the same.
func NewFile(s *Service, name, path string) *File {
	f := &File{svc: s, id: fileBit | uint64(len(s.files)), path: path, state: Value(s, "file/"+name+"/state", filestate.FileState{}), todo: Queue[filestate.Op](s, "file/"+name+"/todo")}
	s.files = append(s.files, f)
	return f
}

// Append writes b at the end of the file and returns the offset.
func (f *File) Append(b []byte) (off int64, err error) {
	if err := f.touch(); err != nil {
		return 0, err
	}
	off, err = f.file.Append(b)
	return off, f.planned(err)
}

// WriteAt writes b at off. It is an io.WriterAt.
func (f *File) WriteAt(b []byte, off int64) (n int, err error) {
	if err := f.touch(); err != nil {
		return 0, err
	}
	n, err = f.file.WriteAt(b, off)
	return n, f.planned(err)
}

// Truncate makes the file n bytes long.
func (f *File) Truncate(n int64) error {
	if err := f.touch(); err != nil {
		return err
	}
	return f.planned(f.file.Truncate(n))
}

// Rename gives the file another name in the same file system, in place of what has that name. The File is still the same one.
func (f *File) Rename(path string) error {
	if err := f.touch(); err != nil {
		return err
	}
	return f.planned(f.file.Rename(path))
}

// Sync brings what was done to the file to the disk before the reply, so that it outlives even the host. Calls that are handled
// together share one fsync.
func (f *File) Sync() error {
	if err := f.touch(); err != nil {
		return err
	}
	return f.planned(f.file.Sync())
}

// ReadAt reads the file as the calls so far, this one included, have made it. It is an io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	if err := f.ready(); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

// Size returns the size of the file as the calls so far, this one included, have made it.
func (f *File) Size() (int64, error) {
	if err := f.ready(); err != nil {
		return 0, err
	}
	return f.file.Size(), nil
}

// Reopen gives the file up, as one that was replaced or shortened, and goes on with the file that its path leads to now; if
// there is none, with a new one.
func (f *File) Reopen() error {
	path := f.state.Get().Path
	if path == "" {
		path = f.path
	}
	if f.call == f.svc.call.number {
		_ = f.file.Undo()
	}
	if err := f.svc.settled(f); err != nil {
		return err
	}
	next, err := filestate.OpenFile(path, os.O_CREATE, 0)
	if err != nil {
		return err
	}
	f.close()
	f.file = next
	f.begin()
	return f.planned(nil)
}

var (
	_ io.ReaderAt = (*File)(nil)
	_ io.WriterAt = (*File)(nil)
)

// touch prepares the first change of a call. What is in todo is of an earlier call: it is done first, for what this call plans
// takes its place.
func (f *File) touch() error {
	if f.call == f.svc.call.number {
		return nil
	}
	if err := f.svc.settled(f); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	f.begin()
	return nil
}

func (f *File) begin() {
	for range f.todo.Len() {
		f.todo.Pop()
	}
	f.file.Keep()
	f.call, f.queued = f.svc.call.number, 0
}

// planned makes what the call has planned part of its record.
func (f *File) planned(err error) error {
	if err != nil {
		return err
	}
	st := f.file.State()
	for _, op := range st.Pending[f.queued:] {
		f.todo.Push(op)
	}
	f.queued = len(st.Pending)
	st.Pending = nil
	f.state.Set(st)
	f.owes = true
	if f.passed != st.Ino {
		f.pass()
	}
	return nil
}

// undo takes back what the call has planned.
func (f *File) undo() {
	f.call = 0
	if f.file != nil {
		_ = f.file.Undo() // fails only with a sync depth
	}
}

// ready opens the file, and finishes what another member has left.
func (f *File) ready() error {
	if err := f.sure(); err != nil {
		return err
	}
	return f.open()
}

// open opens the file that the state means: a new one if there is none yet.
func (f *File) open() (err error) {
	st := f.state.Get()
	if f.file != nil && (st.Ino == 0 || f.isOpen(&st)) {
		return nil
	}
	f.close()
	if st.Ino == 0 {
		f.file, err = filestate.OpenFile(f.path, os.O_CREATE, 0)
		return err
	}
	if fd, ok := f.svc.m.takePassed(f.id); ok {
		if f.file, err = filestate.BackupOpenFile(st, fd); err == nil {
			return f.file.SetState(st)
		}
		f.svc.m.log.Warn("cannot open a file as the primary has it", "path", st.Path, "cause", err)
	}
	if f.file, err = filestate.BackupOpenFile(f.whole(st)); err != nil {
		return err
	}
	return f.file.SetState(st)
}

func (f *File) isOpen(st *filestate.FileState) bool {
	if f.file == nil {
		return false
	}
	own := f.file.State()
	return own.Ino == st.Ino && own.Dev == st.Dev
}

// whole returns st with what is pending.
func (f *File) whole(st filestate.FileState) filestate.FileState {
	for op := range f.todo.All() {
		st.Pending = append(st.Pending, op)
	}
	return st
}

func (f *File) close() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}
