package hands

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// program is an entity's process about to be started.
type program struct {
	launch launch
	note   note
	output *os.File
	null   *os.File
}

// program sets up what a process is started with.
func (e *entity) program(s core.Spawn) (p *program, err error) {
	h := e.h
	p = &program{}
	defer func() {
		if err != nil {
			p.closeFiles()
		}
	}()
	as, err := identify(s.As, s.Command.User, s.Command.Group)
	if err != nil {
		return p, err
	}
	p.note = note{Entity: s.Entity, Label: s.Entity, Output: s.Command.Output, As: s.As, FDStore: s.Command.FDStore, UID: uint32(os.Geteuid())}
	if as != nil {
		p.note.UID = as.uid
	}
	env := h.newEnvironment(s.ID, s.Command, s.As, as)
	env.watchdog(s.Watchdog)
	if err := p.launch.declare(s.Command, as); err != nil {
		return p, err
	}
	if err := p.passFiles(h, s, env); err != nil {
		return p, err
	}
	place := h.placeOfEntity(s.Entity)
	if err := place.write(p.note); err != nil {
		return p, err
	}
	if s.Notify || s.Command.FDStore > 0 {
		if err := e.openNotifier(p.note.UID); err != nil {
			return p, err
		}
		env.set("NOTIFY_SOCKET", e.notifier.addr)
	}
	if _, err := p.open(h, place, p.note); err != nil {
		return p, err
	}
	p.launch.env = env.vars
	return p, nil
}

// passFiles adds listening sockets and stored descriptors.
func (p *program) passFiles(h *Hands, s core.Spawn, env *environment) error {
	listeners, err := h.listeners(s.Entity, s.Command.Sockets, s.As)
	if err != nil {
		return err
	}
	names, stored := h.stored(s.Entity)
	p.launch.files = append(listeners, stored...)
	p.launch.listen = len(p.launch.files)
	if p.launch.listen > 0 {
		env.set("LISTEN_FDS", strconv.Itoa(p.launch.listen))
		env.set("LISTEN_FDNAMES", listenNames(s.Command.Sockets, names))
	}
	return nil
}

// open opens its standard streams. There is a stream of ours only if its output passes through this process.
func (p *program) open(h *Hands, at place, n note) (s *stream, err error) {
	if p.null, err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	if p.output, s, err = h.output(at, n); err != nil {
		return nil, err
	}
	p.launch.std = [3]int{int(p.null.Fd()), int(p.output.Fd()), int(p.output.Fd())}
	return s, nil
}

func (p *program) closeFiles() {
	for _, f := range []*os.File{p.output, p.null} {
		if f != nil {
			f.Close()
		}
	}
}

// declare fills in what the declaration of a command says.
func (l *launch) declare(c core.Command, as *identity) error {
	l.argv, l.dir, l.user = c.Argv, c.Dir, as
	for _, lim := range c.Limits {
		resource, ok := resources[strings.ToLower(lim.Resource)]
		if !ok {
			return fmt.Errorf("unknown resource limit %q", lim.Resource)
		}
		l.limits = append(l.limits, limit{resource, lim.Soft, lim.Hard})
	}
	return nil
}

// resources are the names of setrlimit(2), in lower case.
var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE,
	"locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE,
	"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}
