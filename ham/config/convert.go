package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func (r *reader) entities(f *file) (specs []core.EntitySpec) {
	lineOf := map[string]int{}
	for i := range f.Entity {
		path := fmt.Sprintf("entity[%d]", i)
		e := &f.Entity[i]
		switch other, taken := lineOf[e.Name]; {
		case e.Name == "":
			r.wrong(path+".name", "an entity without a name, expected name = \"…\"")
		case taken:
			r.wrong(path+".name", "entity %q is declared on line %d already", e.Name, other)
		default:
			lineOf[e.Name] = r.lines.of(path)
		}
		specs = append(specs, r.entity(path, e))
	}
	for i := range f.Entity {
		for j, d := range f.Entity[i].After {
			if _, known := lineOf[d.entity]; !known {
				r.wrong(fmt.Sprintf("entity[%d].after", i), "dependency %d, %q, is no entity of this file", j+1, d.entity)
			}
		}
	}
	if c := f.Global.Condition; len(c) > 0 {
		specs = append(specs, core.EntitySpec{Name: core.Global, Conditions: r.conditions("global", c)})
	}
	return specs
}

func (r *reader) entity(path string, e *entity) core.EntitySpec {
	s := &core.Settings{Pair: e.Pair, OnlySelf: e.OnlySelf, Sample: time.Duration(e.Sample), Stop: steps(e.Stop)}
	s.Command = r.command(path, e)
	s.Start = len(e.Command) > 0 && (e.Start == nil || *e.Start)
	if e.Start != nil && *e.Start && len(e.Command) == 0 {
		r.wrong(path+".start", "nothing to start, expected command = [...]")
	}
	if h := e.Heartbeat; h != nil {
		s.Heartbeat = core.Heartbeat{Period: time.Duration(h.Period), Low: h.Low, High: h.High, Grace: time.Duration(h.Grace)}
		r.heartbeat(path+".heartbeat", &s.Heartbeat)
	}
	if e.Ready != nil {
		s.Ready = r.ready(path+".ready", e.Ready)
	}
	for _, d := range e.After {
		s.After = append(s.After, core.Dependency{Entity: d.entity, Restart: d.restart})
	}
	if b := e.Restart; b != nil {
		s.Restart = core.Budget{Limit: b.Limit, Half: time.Duration(b.Half), Delay: time.Duration(b.Delay), Factor: b.Factor,
			Cap: time.Duration(b.Cap), Jitter: b.Jitter, Healthy: time.Duration(b.Healthy), Slow: b.Slow}
		for _, d := range b.Delays {
			s.Restart.Delays = append(s.Restart.Delays, time.Duration(d))
		}
		if b.Jitter < 0 || b.Jitter > 1 || b.Factor != 0 && b.Factor < 1 {
			r.wrong(path+".restart", "jitter %v and factor %v, expected 0 to 1, and at least 1", b.Jitter, b.Factor)
		}
	}
	spec := core.EntitySpec{Name: e.Name, Settings: s, Conditions: r.conditions(path, e.Condition)}
	if e.Keep == nil || *e.Keep {
		spec.Flags |= core.KeepOnDeath // what a file declares does not go away by itself
	}
	return spec
}

func (r *reader) command(path string, e *entity) core.Command {
	c := core.Command{Argv: e.Command, Bare: e.BareEnv, Dir: e.Dir, User: e.User, Group: e.Group, FDStore: e.FDStore}
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		c.Env = append(c.Env, name+"="+e.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Limits)) {
		l := e.Limits[name]
		c.Limits = append(c.Limits, core.Limit{Resource: name, Soft: l.soft, Hard: l.hard})
	}
	if o := e.Output; o != nil {
		c.Output = core.Output{File: o.File, Size: int64(o.Size), Keep: o.Keep, Drop: o.Drop}
		if o.File != "" && o.Drop {
			r.wrong(path+".output", "a file and drop, expected one of them")
		}
	}
	for i, k := range e.Socket {
		if !slices.Contains([]string{"tcp", "udp", "unix", "unixgram", "unixpacket"}, k.Network) || k.Address == "" {
			r.wrong(fmt.Sprintf("%s.socket[%d]", path, i), "network %q, address %q: expected tcp, udp, unix, unixgram or unixpacket, and an address", k.Network, k.Address)
		}
		c.Sockets = append(c.Sockets, core.Socket(k))
	}
	return c
}

func (r *reader) heartbeat(path string, h *core.Heartbeat) {
	switch {
	case h.Period < core.MinPeriod:
		r.wrong(path, "a period of %v, expected at least %v", h.Period, core.MinPeriod)
	case h.Low < 0 || h.High < 0 || h.Low == 0 && h.High == 0:
		r.wrong(path, "marks %d and %d, expected low or high of at least 1", h.Low, h.High)
	case h.Low > 0 && h.High > 0 && h.Low > h.High:
		r.wrong(path, "low mark %d above the high mark %d", h.Low, h.High)
	}
}

func (r *reader) ready(path string, q *ready) core.Readiness {
	out := core.Readiness{Notify: q.Notify, Beat: q.Beat, State: q.State, Timeout: time.Duration(q.Timeout)}
	n := 0
	for _, given := range []bool{q.Notify, q.Beat, q.State != nil, q.Path != "", q.TCP != "", q.Unix != "", q.HTTP != ""} {
		if given {
			n++
		}
	}
	if n != 1 {
		r.wrong(path, "%d signs of readiness, expected one of notify, beat, state, path, tcp, unix and http", n)
	}
	if q.Path+q.TCP+q.Unix+q.HTTP != "" {
		out.Probe = &core.WaitFor{Path: q.Path, TCP: q.TCP, Unix: q.Unix, HTTP: q.HTTP, Timeout: max(time.Duration(q.Timeout), time.Second)}
	}
	return out
}

func steps(in []killStep) (out []core.KillStep) {
	for _, s := range in {
		out = append(out, core.KillStep{Signal: int(s.Signal), Wait: time.Duration(s.Wait)})
	}
	return out
}

func (r *reader) conditions(path string, in []condition) (out []core.ConditionSpec) {
	known := map[string]bool{}
	for i := range in {
		at, c := fmt.Sprintf("%s.condition[%d]", path, i), &in[i]
		r.unique(at, "condition", c.Name, known)
		out = append(out, r.condition(at, c))
	}
	return out
}

func (r *reader) unique(path, what, name string, known map[string]bool) {
	switch {
	case name == "":
		r.wrong(path, "a %s without a name, expected name = \"…\"", what)
	case known[name]:
		r.wrong(path+".name", "%s %q is declared twice", what, name)
	}
	known[name] = true
}

func (r *reader) condition(path string, c *condition) core.ConditionSpec {
	on, err := core.ParseConditionType(c.On)
	if err != nil {
		r.wrong(path+".on", "%v", err)
	}
	s := core.ConditionSpec{Name: c.Name, On: on}
	for _, m := range []struct {
		key string
		in  *match
		to  *core.Match
		of  core.ConditionType
	}{{"from", c.From, &s.From, core.OnState}, {"to", c.To, &s.To, core.OnState}, {"type", c.Type, &s.Type, core.OnRaise},
		{"class", c.Class, &s.Class, core.OnRaise}, {"severity", c.Severity, &s.Severity, core.OnRaise}} {
		switch {
		case m.in != nil && on != m.of && err == nil:
			r.wrong(path+"."+m.key, "%s goes with on = %q only", m.key, m.of)
		case m.in != nil:
			*m.to = core.Match(*m.in)
		case on == m.of:
			m.to.Any = true
		}
	}
	if c.RSS != 0 || c.CPU != 0 || c.FDs != 0 {
		s.Resource = &core.Resource{RSS: int64(c.RSS), CPU: c.CPU, FDs: c.FDs, For: c.For}
	}
	if (s.Resource != nil) != (on == core.OnResourceExceeded) && err == nil {
		r.wrong(path, "rss, cpu and fds go with on = %q, which needs one of them", core.OnResourceExceeded)
	}
	if !c.Once {
		s.Flags |= core.RearmCondition | core.KeepOnEmpty
	}
	if c.NoWait {
		s.Flags |= core.NoWait
	}
	if c.Independent {
		s.Flags |= core.Independent
	}
	s.Actions = r.actions(path, "action", c.Action)
	return s
}
