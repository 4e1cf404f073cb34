package hands

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Names in the environment of what is started.
const (
	envSpawn = "HAM_SPAWN" // ID of the effect that started it, by which it is found again
	envRun   = "HAM_RUN"   // directory of the HAM to which that ID means something
)

// environment builds one, in which a later variable takes the place of an earlier one.
type environment struct {
	vars  []string
	place map[string]int
}

func (e *environment) set(name, value string) { e.add(name + "=" + value) }

func (e *environment) add(v string) {
	name, _, ok := strings.Cut(v, "=")
	if !ok || name == "" {
		return
	}
	if i, ok := e.place[name]; ok {
		e.vars[i] = v
		return
	}
	if e.place == nil {
		e.place = map[string]int{}
	}
	e.place[name] = len(e.vars)
	e.vars = append(e.vars, v)
}

// newEnvironment is that of a command: HAM's own, without what is meant for HAM alone; who it runs as; what the
// declaration says; who it is. An owner with fewer rights than HAM sees little of HAM's own.
func (h *Hands) newEnvironment(id uint64, c core.Command, o core.Owner, as *identity) *environment {
	e := &environment{}
	own := os.Environ()
	if c.Bare {
		own = nil
	}
	for _, v := range own {
		name, _, _ := strings.Cut(v, "=")
		if isHAMs(name) || !o.Admin && as != nil && !isPublic(name) {
			continue
		}
		e.add(v)
	}
	if as != nil && as.name != "" {
		e.set("USER", as.name)
		e.set("LOGNAME", as.name)
		e.set("HOME", as.home)
	}
	for _, v := range c.Env {
		e.add(v)
	}
	e.set(envSpawn, strconv.FormatUint(id, 10))
	e.set(envRun, h.cfg.Dir)
	return e
}

// isHAMs tells what is between HAM and whoever started it.
func isHAMs(name string) bool {
	return strings.HasPrefix(name, "HAM_") || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") || name == "NOTIFY_SOCKET"
}

func isPublic(name string) bool {
	return name == "PATH" || name == "LANG" || name == "TZ" || name == "TERM" || strings.HasPrefix(name, "LC_")
}

// describe adds why a command is run: the place of its action, and what happened.
func (e *environment) describe(p core.Path, c core.Cause) {
	e.set("HAM_ENTITY", p.Entity)
	e.set("HAM_CONDITION", p.Condition)
	e.set("HAM_ACTION", p.Action)
	e.set("HAM_EVENT", c.Type.String())
	e.set("HAM_EVENT_ENTITY", c.Entity)
	e.set("HAM_EVENT_SEQ", strconv.FormatUint(c.Seq, 10))
	if c.PID != 0 {
		e.set("HAM_PID", strconv.Itoa(c.PID))
	}
	if c.Exit != nil {
		e.set("HAM_STATUS", statusText(*c.Exit))
	}
	if c.State != nil {
		e.set("HAM_STATE", strconv.FormatInt(c.State.To, 10))
	}
	if c.Raise != nil {
		e.set("HAM_RAISE_TYPE", strconv.FormatInt(c.Raise.Type, 10))
		e.set("HAM_RAISE_CLASS", strconv.FormatInt(c.Raise.Class, 10))
		e.set("HAM_RAISE_SEVERITY", strconv.FormatInt(c.Raise.Severity, 10))
	}
	if c.Text != "" {
		e.set("HAM_TEXT", strings.ReplaceAll(c.Text, "\x00", " "))
	}
}

// watchdog tells a program of sd_watchdog_enabled(3) how often to beat.
func (e *environment) watchdog(period time.Duration) {
	if period > 0 {
		e.set("WATCHDOG_USEC", strconv.FormatInt(period.Microseconds(), 10))
	}
}

// statusText is how a process ended, in a form for scripts: the exit status, or the name of a signal, or "unknown".
func statusText(x core.Exit) string {
	switch {
	case !x.Known:
		return "unknown"
	case x.Signal != 0:
		return signalName(x.Signal)
	}
	return strconv.Itoa(x.Code)
}
