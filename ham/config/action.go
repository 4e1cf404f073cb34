package config

import (
	"fmt"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func (r *reader) actions(path, key string, in []action) (out []core.ActionSpec) {
	known := map[string]bool{}
	for i := range in {
		at, a := fmt.Sprintf("%s.%s[%d]", path, key, i), &in[i]
		r.unique(at, "action", a.Name, known)
		out = append(out, r.action(at, a))
	}
	return out
}

var deliveries = map[string]core.Delivery{"": core.AsKind, "at_most_once": core.AtMostOnce, "at_least_once": core.AtLeastOnce}

func (r *reader) action(path string, a *action) core.ActionSpec {
	s := core.ActionSpec{Name: a.Name}
	if n := r.verbs(path, a, &s); n != 1 {
		r.wrong(path, "%d things to do, expected one of restart, execute, waitfor, notify, signal, kill, healthy, log, raise, dump, enable and disable", n)
	}
	if a.Once {
		s.Flags |= core.OneShot
	} else {
		s.Flags |= core.RearmAction | core.KeepOnFail
	}
	if a.BreakOnFail {
		s.Flags |= core.BreakOnFail
	}
	if a.DoNow {
		s.Flags |= core.DoNow
	}
	delivery, ok := deliveries[a.Delivery]
	if !ok {
		r.wrong(path+".delivery", "%q, expected \"at_most_once\" or \"at_least_once\"", a.Delivery)
	}
	s.Delivery = delivery
	s.OnFail = r.failActions(path, a.OnFail)
	return s
}

// failActions reads a fail list. What is in there belongs to its action, and has no flags of its own.
func (r *reader) failActions(path string, in []action) []core.ActionSpec {
	out := r.actions(path, "on_fail", in)
	for i := range out {
		if a := &in[i]; len(a.OnFail) > 0 || a.Once || a.BreakOnFail || a.DoNow {
			r.wrong(fmt.Sprintf("%s.on_fail[%d]", path, i), "on_fail, once, break_on_fail or do_now within on_fail, expected none")
		}
		out[i].Flags = 0
	}
	return out
}

// verbs says what is to be done, and returns how many things that are.
func (r *reader) verbs(path string, a *action, s *core.ActionSpec) (n int) {
	if v := a.Restart; v != nil {
		n++
		s.Restart = &core.Restart{}
		if len(v.Command) > 0 {
			s.Restart.Command = &core.Command{Argv: v.Command}
		}
	}
	if v := a.Execute; v != nil {
		n++
		s.Execute = v.spec()
	}
	if v := a.Dump; v != nil {
		n++
		s.Dump = v.spec()
	}
	if v := a.WaitFor; v != nil {
		n++
		s.WaitFor = &core.WaitFor{Path: v.Path, TCP: v.TCP, Unix: v.Unix, HTTP: v.HTTP, Timeout: time.Duration(v.Timeout)}
		if v.Timeout <= 0 {
			r.wrong(path+".waitfor", "no timeout, expected timeout = \"5s\" or so")
		}
	}
	if v := a.Notify; v != nil {
		n++
		s.Notify = &core.Notify{Signal: v.Signal.spec(), Datagram: v.Datagram, HTTP: v.HTTP, Text: v.Text}
		if (v.Signal != nil) == (v.Datagram+v.HTTP != "") || v.Datagram != "" && v.HTTP != "" {
			r.wrong(path+".notify", "expected one of signal, datagram and http")
		}
	}
	if v := a.Signal; v != nil {
		n++
		s.Signal = v.spec()
	}
	if v := a.Kill; v != nil {
		n++
		s.Kill = &core.Kill{Steps: steps(v.Steps), OnlySelf: v.OnlySelf}
	}
	if a.Healthy != nil {
		n++
		s.Healthy = &core.Healthy{}
	}
	if v := a.Log; v != nil {
		n++
		s.Log = &core.Log{Text: v.Text, Prefix: v.Prefix, Verbosity: v.Verbosity}
	}
	if v := a.Raise; v != nil {
		n++
		raise := core.Raise(*v)
		s.Raise = &raise
	}
	n += r.target(path+".enable", a.Enable, &s.Enable) + r.target(path+".disable", a.Disable, &s.Disable)
	return n
}

func (v *run) spec() *core.Execute {
	return &core.Execute{Command: core.Command{Argv: v.Command}, Timeout: time.Duration(v.Timeout), Background: v.Background}
}

func (v *signal) spec() *core.Signal {
	if v == nil {
		return nil
	}
	return &core.Signal{PID: v.PID, Signal: int(v.Signal), Value: v.Value, Group: v.Group}
}

// target reads the path of what is to be switched on or off; "" is the entity itself.
func (r *reader) target(path string, text *string, to **core.Switch) int {
	if text == nil {
		return 0
	}
	*to = &core.Switch{Recurse: true}
	if *text != "" {
		p, err := core.ParsePath(*text)
		if err != nil {
			r.wrong(path, "%v", err)
		}
		(*to).Path = p
	}
	return 1
}
