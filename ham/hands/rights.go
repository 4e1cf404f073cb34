package hands

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// errRights says that the owner of an entity may not do this.
var errRights = errors.New("the owner has no right to")

// identity is the user as which something is done.
type identity struct {
	uid, gid   uint32
	groups     []uint32
	name, home string // "": the user database does not know him
}

// identify returns as whom a command of the owner runs. nil: as HAM itself.
func identify(o core.Owner, username, group string) (*identity, error) {
	uid := strconv.Itoa(os.Geteuid())
	id := &identity{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	if !o.Admin {
		uid = strconv.Itoa(int(o.UID))
		id.uid, id.gid = o.UID, o.GID
	}
	if username != "" {
		u, err := lookup(username)
		if err != nil {
			return nil, err
		}
		if !o.Admin && u.Uid != uid {
			return nil, fmt.Errorf("%w run commands as %s", errRights, username)
		}
		id.uid, id.gid = number(u.Uid), number(u.Gid)
	}
	if int(id.uid) != os.Geteuid() || username != "" {
		id.know()
	}
	if group != "" {
		if err := id.join(o, group); err != nil {
			return nil, err
		}
	}
	if int(id.uid) == os.Geteuid() && int(id.gid) == os.Getegid() {
		return nil, nil
	}
	return id, nil
}

// lookup finds a user by name or number.
func lookup(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	if _, numeric := strconv.ParseUint(name, 10, 32); numeric != nil {
		return nil, err
	}
	if u, err = user.LookupId(name); err != nil { // a number needs no entry
		return &user.User{Uid: name, Gid: name}, nil
	}
	return u, nil
}

// know adds what the user database has: groups, name and home directory.
func (id *identity) know() {
	u, err := user.LookupId(strconv.Itoa(int(id.uid)))
	if err != nil {
		return
	}
	id.name, id.home = u.Username, u.HomeDir
	groups, _ := u.GroupIds()
	for _, g := range groups {
		id.groups = append(id.groups, number(g))
	}
}

// join makes a group the primary one.
func (id *identity) join(o core.Owner, group string) error {
	if g, err := user.LookupGroup(group); err == nil {
		group = g.Gid
	}
	gid, err := strconv.ParseUint(group, 10, 32)
	if err != nil {
		return user.UnknownGroupError(group)
	}
	if !o.Admin && !id.in(uint32(gid)) {
		return fmt.Errorf("%w run commands in group %s", errRights, group)
	}
	id.gid = uint32(gid)
	return nil
}

func (id *identity) in(gid uint32) bool {
	for _, g := range id.groups {
		if g == gid {
			return true
		}
	}
	return id.gid == gid
}

func number(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32) // of the user database: it is one
	return uint32(n)
}

// as calls f with the rights of the owner, as far as the file system and the other ends of sockets are concerned. f must do
// it in its own goroutine, and must not start a process or send a signal.
func as(o core.Owner, f func() error) error {
	if o.Admin || int(o.UID) == os.Geteuid() {
		return f()
	}
	id, err := identify(o, "", "")
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- id.borrow(f)
	}()
	return <-result
}

// borrow makes the present thread another user, effectively, for the time of f. Rights are the thread's own: the kernel knows of
// no process here, and neither does the runtime if not told by package syscall. The real and saved user stay, so that the other
// can do nothing to this process meanwhile. A thread that does not get its old rights back ends with its goroutine.
func (id *identity) borrow(f func() error) error {
	old, err := unix.Getgroups()
	if err != nil {
		return err
	}
	was := identity{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	for _, g := range old {
		was.groups = append(was.groups, uint32(g))
	}
	if err = id.assume(); err != nil {
		err = fmt.Errorf("cannot act as user %d: %w", id.uid, err)
	} else {
		err = f()
	}
	if was.resume() == 0 {
		// The kernel takes us for a set-user-ID program now, and would hide /proc/self from our other half.
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		runtime.UnlockOSThread()
	}
	return err
}

const unchanged = ^uintptr(0)

func (id *identity) assume() error {
	if errno := id.setGroups(); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, unchanged, uintptr(id.gid), unchanged); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, unchanged, uintptr(id.uid), unchanged); errno != 0 {
		return errno
	}
	return nil
}

// resume takes the old rights back, in the reverse order: only the old user may change groups.
func (id *identity) resume() syscall.Errno {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, unchanged, uintptr(id.uid), unchanged); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, unchanged, uintptr(id.gid), unchanged); errno != 0 {
		return errno
	}
	return id.setGroups()
}

func (id *identity) setGroups() syscall.Errno {
	var first unsafe.Pointer
	if len(id.groups) > 0 {
		first = unsafe.Pointer(&id.groups[0])
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(id.groups)), uintptr(first), 0)
	return errno
}
