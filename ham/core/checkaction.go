package core

import (
	"fmt"
	"math/bits"
	"path/filepath"
	"slices"
	"strings"
)

// check refuses an action that breaks a rule of its kind, or of the condition it is in.
func (a *ActionSpec) check(c *Condition, path Path) error {
	if err := path.check(); err != nil {
		return err
	}
	if err := a.checkKind(c); err != nil {
		return err
	}
	switch {
	case a.Restart != nil && (!c.Spec.On.death() || path.Entity == Global):
		return bad("a restart belongs into a death condition of the entity itself, not into one of type %v", c.Spec.On)
	case a.Restart != nil && a.Flags&DoNow != 0:
		return bad("there is nothing to restart yet")
	case a.Restart != nil && a.Delivery == AtMostOnce:
		return bad("a restart cannot be given up at a takeover")
	case bits.Len32(uint32(a.Flags)) > bits.Len32(uint32(KeepOnFail)):
		return bad("unknown flags %#x", a.Flags)
	case a.Flags&RearmAction != 0 && a.Flags&OneShot != 0:
		return bad("RearmAction and OneShot contradict each other")
	case a.Delivery > AtLeastOnce:
		return bad("%v", a.Delivery)
	}
	for i := range a.OnFail {
		f := &a.OnFail[i]
		if err := f.checkFail(c, path, a.OnFail[:i]); err != nil {
			return fmt.Errorf("fail action %q: %w", f.Name, err)
		}
	}
	return nil
}

// checkFail refuses what cannot be in a fail list.
func (a *ActionSpec) checkFail(c *Condition, path Path, before []ActionSpec) error {
	path.Action = a.Name
	switch err := path.check(); {
	case err != nil:
		return err
	case a.Restart != nil || a.Healthy != nil:
		return bad("neither restart nor healthy can be in a fail list")
	case len(a.OnFail) > 0:
		return bad("a fail action has no fail list of its own")
	case a.Flags != 0:
		return bad("flags %#x, expected none", a.Flags)
	case slices.ContainsFunc(before, func(o ActionSpec) bool { return o.Name == a.Name }):
		return bad("the name is there twice")
	}
	return a.checkKind(c)
}

// checkKind refuses an action that does not do exactly one thing, and do it well.
func (a *ActionSpec) checkKind(c *Condition) error {
	if kinds := a.kinds(); len(kinds) != 1 {
		return bad("it does %d things %v, expected one", len(kinds), kinds)
	}
	if c.Spec.Flags&NoWait != 0 && (a.WaitFor != nil || a.Kill != nil || a.Notify != nil && a.Notify.HTTP != "") {
		return bad("a condition with NoWait holds nothing that waits: no waitfor, no kill, no http")
	}
	switch {
	case a.Restart != nil && a.Restart.Command != nil:
		return a.Restart.Command.check(c.Owner, false)
	case a.Execute != nil:
		return a.Execute.check(c.Owner)
	case a.Dump != nil:
		return a.Dump.check(c.Owner)
	case a.WaitFor != nil:
		return a.WaitFor.check()
	case a.Notify != nil:
		return a.Notify.check()
	case a.Signal != nil:
		return a.Signal.check()
	case a.Kill != nil:
		return checkSteps(a.Kill.Steps)
	case a.Raise != nil && a.Raise.Entity != "":
		return checkName(a.Raise.Entity)
	case a.Enable != nil:
		return a.Enable.Path.check()
	case a.Disable != nil:
		return a.Disable.Path.check()
	}
	return nil
}

func (x *Execute) check(owner Owner) error {
	if x.Timeout < 0 {
		return bad("timeout %v, expected no negative time", x.Timeout)
	}
	return x.Command.check(owner, false)
}

func (s *Signal) check() error {
	if s.PID < 0 {
		return bad("pid %d, expected no negative one", s.PID)
	}
	if s.Group && s.Value != 0 {
		return bad("a signal to a group carries no value")
	}
	return checkSignal(s.Signal)
}

func (n *Notify) check() error {
	parties := 0
	for _, set := range []bool{n.Signal != nil, n.Datagram != "", n.HTTP != "", n.Client != 0} {
		if set {
			parties++
		}
	}
	switch {
	case parties != 1:
		return bad("notifies %d parties, expected one: signal, datagram, http or client", parties)
	case n.HTTP != "" && !strings.HasPrefix(n.HTTP, "http://") && !strings.HasPrefix(n.HTTP, "https://"):
		return bad("URL %q, expected http:// or https://", n.HTTP)
	case n.Signal != nil:
		return n.Signal.check()
	}
	return nil
}

// limits are the names that Limit.Resource may have.
const limits = " as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack "

// networks are the names that Socket.Network may have.
const networks = " tcp tcp4 tcp6 udp udp4 udp6 unix unixgram unixpacket "

// check refuses a command that could not be started, or not by its owner; where it may be absent, none at all is good.
func (c *Command) check(owner Owner, absent bool) error {
	switch {
	case len(c.Argv) == 0 && !absent, len(c.Argv) > 0 && c.Argv[0] == "":
		return bad("no command, expected a program and its arguments")
	case slices.ContainsFunc(slices.Concat(c.Argv, c.Env, []string{c.Dir, c.Output.File}), func(s string) bool { return strings.Contains(s, "\x00") }):
		return bad("a zero byte in it")
	case slices.ContainsFunc(c.Env, func(s string) bool { return strings.Index(s, "=") < 1 }):
		return bad("environment %q, expected NAME=VALUE each", c.Env)
	case c.Dir != "" && !filepath.IsAbs(c.Dir):
		return bad("directory %q, expected an absolute path", c.Dir)
	case c.Output.File != "" && (!filepath.IsAbs(c.Output.File) || c.Output.Drop):
		return bad("output to %q, expected an absolute path, and not to be dropped too", c.Output.File)
	case c.Output.Size < 0 || c.Output.Keep < 0 || c.FDStore < 0:
		return bad("a negative number")
	case (c.User != "" || c.Group != "") && !owner.Admin:
		return fmt.Errorf("only an administrator chooses another user: %w", ErrNotPermitted)
	}
	for _, l := range c.Limits {
		if l.Resource == "" || !strings.Contains(limits, " "+l.Resource+" ") || l.Soft > l.Hard {
			return bad("limit %+v, expected one of%sand no soft above the hard one", l, limits)
		}
	}
	for _, s := range c.Sockets {
		if s.Address == "" || s.Network == "" || !strings.Contains(networks, " "+s.Network+" ") {
			return bad("socket %+v, expected an address and one of%s", s, networks)
		}
	}
	return nil
}
