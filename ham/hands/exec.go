package hands

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// execName is argv[0] of a process that prepares itself to become another program.
const execName = "tandem-exec"

// Exec must be the first call in main of a program that uses this package. In a process that Hands started to become
// another program, it sets what can only be set from inside, its resource limits and LISTEN_PID, becomes that
// program, and never returns. In any other process it does nothing.
func Exec() {
	if len(os.Args) == 0 || os.Args[0] != execName {
		return
	}
	p := preparation{status: -1}
	step, err := p.run(os.Args[2:])
	p.tell(report(step, err))
	os.Exit(127) // as shells do for a command that cannot be run
}

// preparation is what such a process has learnt from its arguments.
type preparation struct {
	status int // where to report a failure; closed by the exec
	env    []string
}

// run does one step after the other. It returns only if one fails.
func (p *preparation) run(args []string) (step string, err error) {
	p.env = os.Environ()
	for i, arg := range args {
		if arg == "--" {
			path, argv := args[i+1], args[i+2:]
			return "execute " + path, syscall.Exec(path, argv, p.env)
		}
		name, value, _ := strings.Cut(arg, "=")
		if err := p.do(name, value); err != nil {
			return "set " + arg, err
		}
	}
	return "understand its arguments", unix.EINVAL
}

func (p *preparation) do(name, value string) (err error) {
	switch name {
	case "status":
		if p.status, err = strconv.Atoi(value); err == nil {
			unix.CloseOnExec(p.status)
			p.tell(begun)
		}
	case "limit":
		var l limit
		if _, err = fmt.Sscanf(value, "%d:%d:%d", &l.resource, &l.soft, &l.max); err == nil {
			// That of package syscall: it keeps the runtime from putting back the limit of open files that it has raised.
			err = syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: l.soft, Max: l.max})
		}
	case "user":
		err = become(value)
	case "dir":
		err = unix.Chdir(value)
	case "listen":
		p.env = append(p.env, "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	}
	return err
}

// become gives up root for "uid:gid:group group …".
func become(value string) error {
	part := strings.SplitN(value, ":", 3)
	var id [2]int
	for i := range id {
		n, err := strconv.Atoi(part[i])
		if err != nil {
			return err
		}
		id[i] = n
	}
	var groups []int
	for _, word := range strings.Fields(part[2]) {
		g, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		groups = append(groups, g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(id[1]); err != nil {
		return err
	}
	return syscall.Setuid(id[0])
}

// tell writes to the process that waits.
func (p *preparation) tell(text string) {
	if p.status >= 0 {
		_, _ = unix.Write(p.status, []byte(text)) // fits the pipe
	}
}

// begun is told first. If nothing follows it the exec has closed the pipe: it has succeeded.
const begun = "exec:"

// report is how a failed step is told: the error number, then words.
func report(step string, err error) string {
	errno, _ := err.(syscall.Errno)
	return strconv.Itoa(int(errno)) + " cannot " + step
}

func parseReport(s string) error {
	s, ok := strings.CutPrefix(s, begun)
	if !ok {
		return errNoExec
	}
	if s == "" {
		return nil
	}
	number, what, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(number)
	if err != nil || n == 0 {
		return errors.New(what)
	}
	return fmt.Errorf("%s: %w", what, syscall.Errno(n))
}
