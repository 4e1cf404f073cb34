package hands

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

// launch is a process about to be started. Its session is its own, and so is its process group. Nobody sends it a signal
// when this process ends.
type launch struct {
	argv   []string // argv[0] is looked up in the PATH of env
	env    []string // all of it
	dir    string   // "": that of this process
	user   *identity
	limits []limit
	std    [3]int
	files  []int // descriptors 3, 4, … of the process
	listen int   // how many of the files are listeners for sd_listen_fds(3), the first ones
}

type limit struct {
	resource  int
	soft, max uint64
}

// start starts the process, which inherits the descriptors named and no other, and returns with a pidfd of it once it runs
// the program wanted, or with the reason why it does not. The process is the caller's to reap.
func (l *launch) start() (id proc.ID, pidfd int, err error) {
	path, err := l.lookPath()
	if err != nil {
		return id, -1, fmt.Errorf("cannot start %s: %w", strings.Join(l.argv, " "), err)
	}
	if l.plain() {
		id, pidfd, err = l.fork(path, l.argv, l.files, l.user, l.dir)
	} else {
		id, pidfd, err = l.prepare("/proc/self/exe", path)
	}
	if err != nil {
		return id, -1, fmt.Errorf("cannot start %s: %w", path, err)
	}
	return id, pidfd, nil
}

// plain reports whether the process can be all that is wanted without doing something by itself first.
func (l *launch) plain() bool { return len(l.limits) == 0 && l.listen == 0 }

// fork starts a process and takes note of who it is.
func (l *launch) fork(path string, argv []string, files []int, as *identity, dir string) (id proc.ID, pidfd int, err error) {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // as proc.Spawn does, for descriptors of other code here
	pidfd = -1
	attr := &syscall.ProcAttr{Dir: dir, Env: l.env, Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd}}
	if as != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid, Groups: as.groups}
	}
	for _, fd := range l.std {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	pid, _, err := syscall.StartProcess(path, argv, attr)
	if err != nil {
		return id, -1, err
	}
	if pidfd < 0 { // a sandbox without pidfds at clone
		pidfd, err = unix.PidfdOpen(pid, 0)
	}
	if err == nil {
		id, err = proc.Identify(pid) // not reaped yet, so the pid is still its own
	}
	if err != nil {
		undo(pid, pidfd)
		return id, -1, err
	}
	return id, pidfd, nil
}

// undo ends a process that has just been started, as if it never had been.
func undo(pid, pidfd int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			break
		}
	}
	if pidfd >= 0 {
		unix.Close(pidfd)
	}
}

// execPatience bounds how long a process may take to become the program wanted.
const execPatience = 10 * time.Second

// errNoExec says that main has to be changed.
var errNoExec = errors.New("this program does not call hands.Exec first")

// prepare starts this very program as the process, to set its limits and LISTEN_PID from inside and then become the program
// wanted: see Exec.
func (l *launch) prepare(self, path string) (id proc.ID, pidfd int, err error) {
	status, told, err := os.Pipe()
	if err != nil {
		return id, -1, err
	}
	defer status.Close()
	defer told.Close()
	files := append(append([]int(nil), l.files...), int(told.Fd()))
	id, pidfd, err = l.fork(self, l.steps(path, 3+len(l.files)), files, nil, "")
	if err != nil {
		return id, -1, err
	}
	told.Close()
	_ = status.SetReadDeadline(time.Now().Add(execPatience))
	report, err := io.ReadAll(io.LimitReader(status, 4096))
	if err == nil {
		err = parseReport(string(report))
	}
	if err != nil {
		undo(id.PID, pidfd)
		return id, -1, err
	}
	return id, pidfd, nil
}

// steps are the arguments that tell Exec what to do.
func (l *launch) steps(path string, status int) []string {
	// A program that does not call Exec takes this for a flag that it does not know, and leaves.
	steps := []string{execName, "-" + execName, "status=" + strconv.Itoa(status)}
	for _, lim := range l.limits {
		steps = append(steps, fmt.Sprintf("limit=%d:%d:%d", lim.resource, lim.soft, lim.max))
	}
	if u := l.user; u != nil {
		steps = append(steps, fmt.Sprintf("user=%d:%d:%s", u.uid, u.gid, strings.Trim(fmt.Sprint(u.groups), "[]")))
	}
	if l.dir != "" {
		steps = append(steps, "dir="+l.dir)
	}
	if l.listen > 0 {
		steps = append(steps, "listen="+strconv.Itoa(l.listen))
	}
	return append(append(steps, "--", path), l.argv...)
}

// lookPath finds the program: in the PATH that it will have, unless its name has a slash.
func (l *launch) lookPath() (string, error) {
	if len(l.argv) == 0 || l.argv[0] == "" {
		return "", errors.New("no command given")
	}
	name := l.argv[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	dirs := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, v := range l.env {
		if rest, ok := strings.CutPrefix(v, "PATH="); ok {
			dirs = rest
		}
	}
	for _, dir := range strings.Split(dirs, ":") {
		path := dir + "/" + name
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("not found in %s: %w", dirs, os.ErrNotExist)
}
