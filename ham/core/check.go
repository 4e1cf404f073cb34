package core

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// bad says what is wrong with a declaration, and what was expected.
func bad(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrBadSpec)...)
}

// checkEntity refuses an entity that breaks a rule. Every declaration and change passes here, as a whole.
func (m *Machine) checkEntity(e *Entity) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("entity %s: %w", e.Name, err)
	}
	return m.checkCircle(e)
}

// Check refuses a declaration that breaks a rule, by the same rules as a HAM that it is sent to by an administrator.
// What depends on what else is declared there cannot be seen.
func (s *EntitySpec) Check() error {
	m := New(&Memory{})
	m.begin(Event{})
	_, err := m.declareEntity(Peer{Admin: true}, &Declare{Entity: s})
	return err
}

func (e *Entity) check() error {
	if e.Flags&^KeepOnDeath != 0 {
		return bad("unknown flags %#x", e.Flags)
	}
	if e.Name == Global && (e.Flags != 0 || e.Settings.set()) {
		return bad("the global entity has neither settings nor flags, only conditions")
	}
	if err := e.Settings.check(e.Owner); err != nil {
		return err
	}
	if p := &e.Process; p.Want && !e.Alive() && p.Command == nil && len(e.Settings.Command.Argv) == 0 {
		return bad("it is about to be started: its command cannot go")
	}
	restart := ""
	for i := range e.Conditions {
		c := &e.Conditions[i]
		path := Path{Entity: e.Name, Condition: c.Spec.Name}
		if err := c.check(e, path); err != nil {
			return fmt.Errorf("condition %s: %w", c.Spec.Name, err)
		}
		for k := range c.Actions {
			a := &c.Actions[k].Spec
			path.Action = a.Name
			if err := a.check(c, path); err != nil {
				return fmt.Errorf("condition %s, action %s: %w", c.Spec.Name, a.Name, err)
			}
			if a.Restart == nil {
				continue
			}
			if restart != "" {
				return fmt.Errorf("%s and %s: %w", restart, path, ErrOnlyRestart)
			}
			restart = path.String()
		}
	}
	return nil
}

// set reports whether anything is set at all.
func (s *Settings) set() bool {
	return len(s.Command.Argv) > 0 || s.Start || s.Pair != "" || s.Heartbeat != (Heartbeat{}) || len(s.After) > 0
}

func (s *Settings) check(owner Owner) error {
	if s.Start && len(s.Command.Argv) == 0 {
		return bad("it is to be started, but has no command")
	}
	if s.Pair != "" {
		if err := checkName(s.Pair); err != nil {
			return fmt.Errorf("pair: %w", err)
		}
	}
	if err := s.Command.check(owner, true); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if err := s.Heartbeat.check(); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	if err := s.Ready.check(); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	if err := s.Restart.check(); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	for i, d := range s.After {
		if err := checkName(d.Entity); err != nil {
			return fmt.Errorf("after: %w", err)
		}
		if slices.ContainsFunc(s.After[:i], func(o Dependency) bool { return o.Entity == d.Entity }) {
			return bad("after: %q is named twice", d.Entity)
		}
	}
	if s.Sample < 0 {
		return bad("sample %v, expected no negative time", s.Sample)
	}
	return checkSteps(s.Stop)
}

func checkSteps(steps []KillStep) error {
	for _, s := range steps {
		if err := checkSignal(s.Signal); err != nil {
			return err
		}
		if s.Wait <= 0 {
			return bad("signal %d is waited for %v, expected more than nothing", s.Signal, s.Wait)
		}
	}
	return nil
}

func checkSignal(n int) error {
	if n < 1 || n > 64 {
		return bad("signal %d, expected 1 to 64", n)
	}
	return nil
}

func (h *Heartbeat) check() error {
	switch {
	case h.Period == 0 && (h.Low != 0 || h.High != 0 || h.Grace != 0):
		return bad("marks or a grace without a period")
	case h.Period != 0 && h.Period < MinPeriod:
		return bad("period %v, expected at least %v", h.Period, MinPeriod)
	case h.Low < 0 || h.High < 0 || h.Grace < 0:
		return bad("low %d, high %d, grace %v: expected nothing negative", h.Low, h.High, h.Grace)
	case h.Low > h.High && h.High > 0:
		return bad("low mark %d above the high mark %d", h.Low, h.High)
	}
	return nil
}

func (r *Readiness) check() error {
	n := 0
	for _, set := range []bool{r.Notify, r.Beat, r.State != nil, r.Probe != nil} {
		if set {
			n++
		}
	}
	switch {
	case n > 1:
		return bad("%d signs of readiness, expected one at most", n)
	case r.Timeout < 0:
		return bad("timeout %v, expected no negative time", r.Timeout)
	case r.Probe == nil:
		return nil
	case r.Probe.nothing():
		return bad("a probe of nothing")
	}
	return r.Probe.check()
}

func (b *Budget) check() error {
	for _, d := range append([]time.Duration{b.Half, b.Delay, b.Cap, b.Healthy}, b.Delays...) {
		if d < 0 {
			return bad("time %v, expected no negative one", d)
		}
	}
	switch {
	case b.Factor != 0 && !(b.Factor >= 1):
		return bad("factor %v, expected at least 1", b.Factor)
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return bad("jitter %v, expected 0 to 1", b.Jitter)
	}
	return nil
}

func (w *WaitFor) check() error {
	n := 0
	for _, s := range []string{w.Path, w.TCP, w.Unix, w.HTTP} {
		if s != "" {
			n++
		}
	}
	switch {
	case n > 1:
		return bad("waits for %d things, expected one at most", n)
	case w.Timeout <= 0:
		return bad("waits at most %v, expected more than nothing", w.Timeout)
	case w.HTTP != "" && !strings.HasPrefix(w.HTTP, "http://") && !strings.HasPrefix(w.HTTP, "https://"):
		return bad("URL %q, expected http:// or https://", w.HTTP)
	case w.TCP != "" && !strings.Contains(w.TCP, ":"):
		return bad("address %q, expected HOST:PORT", w.TCP)
	}
	return nil
}

func (c *Condition) check(e *Entity, path Path) error {
	if err := path.check(); err != nil {
		return err
	}
	s := &c.Spec
	switch {
	case s.On < OnAny || s.On > OnResourceExceeded:
		return bad("%v", s.On)
	case bits.Len32(uint32(s.Flags)) > bits.Len32(uint32(KeepOnEmpty)):
		return bad("unknown flags %#x", s.Flags)
	case (s.On == OnState) != !(s.From.empty() && s.To.empty()), s.On == OnState && (s.From.empty() || s.To.empty()):
		return bad("from and to belong to a state condition, both, and match at least one state each")
	case (s.On == OnRaise) != !(s.Type.empty() && s.Class.empty() && s.Severity.empty()),
		s.On == OnRaise && (s.Type.empty() || s.Class.empty() || s.Severity.empty()):
		return bad("type, class and severity belong to a raise condition, all three, and match at least one value each")
	case (s.On == OnResourceExceeded) != (s.Resource != nil):
		return bad("resource limits belong to a resource_exceeded condition, and it needs them")
	case s.Resource != nil && (s.Resource.RSS < 0 || s.Resource.FDs < 0 || s.Resource.For < 0 || !(s.Resource.CPU >= 0) || *s.Resource == (Resource{For: s.Resource.For})):
		return bad("resource limits %+v, expected at least one, and nothing negative", *s.Resource)
	}
	for _, a := range c.Actions {
		if x := a.Spec.Restart; x != nil && x.Command != nil && !c.Owner.may(e.Owner) {
			return fmt.Errorf("another command for the entity of user %d: %w", e.Owner.UID, ErrNotPermitted)
		}
	}
	return nil
}
