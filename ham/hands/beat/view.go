package beat

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// View is the words of another process, to be read.
type View struct {
	mem []byte
}

// Find returns the words of the process with that pid: of each of its pages one View, none if it has none. The caller
// makes sure before and after that the pid is not another's by now.
func Find(pid int) ([]*View, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for heartbeat words of process %d: %w", pid, err)
	}
	var views []*View
	for _, e := range entries {
		path := dir + "/" + e.Name()
		if to, err := os.Readlink(path); err != nil || !strings.HasPrefix(to, "/memfd:"+memfdName) {
			continue
		}
		if v, err := open(path); err == nil {
			views = append(views, v)
		}
	}
	return views, nil
}

// open maps a page, if reading it can do no harm.
func open(path string) (*View, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	var fs unix.Statfs_t
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err == nil {
		err = unix.Fstatfs(fd, &fs)
	}
	if err != nil {
		return nil, err
	}
	// What can shrink, or run out of huge pages, is a SIGBUS for its readers.
	if seals&unix.F_SEAL_SHRINK == 0 || st.Size != size || fs.Type != unix.TMPFS_MAGIC {
		return nil, fmt.Errorf("%s is no page of heartbeat words", path)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	if atomic.LoadUint64(&slotAt(mem, 0).hash) != magic {
		_ = unix.Munmap(mem)
		return nil, fmt.Errorf("%s has no magic number", path)
	}
	return &View{mem}, nil
}

// Word returns the counter of an entity, nil if it has none here. It is readable until Close.
func (v *View) Word(entity string) *uint64 {
	want := hashOf(entity)
	for i := 1; i < size/slotSize; i++ {
		s := slotAt(v.mem, i)
		switch atomic.LoadUint64(&s.hash) {
		case want:
			return &s.count
		case empty:
			return nil
		}
	}
	return nil
}

// Close ends the view. Its words must not be read any more.
func (v *View) Close() error {
	mem := v.mem
	v.mem = nil
	return unix.Munmap(mem)
}
