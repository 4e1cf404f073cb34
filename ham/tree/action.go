package tree

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// actionPage is about an action.
func actionPage(e *core.Entity, c *core.Condition, a *core.Action) sheet {
	s := sheet{
		{"Path", core.Path{Entity: e.Name, Condition: c.Spec.Name, Action: a.Spec.Name}.String()}, {"Entity Pid", e.Process.PID},
		{"Action ReArm", a.Spec.Rearmed(c.Spec.On)},
	}
	s = append(s, whatItDoes(e, &a.Spec)...)
	var result any
	switch {
	case a.LastError != "":
		result = "FAILED"
	case a.Runs > 0:
		result = "OK"
	}
	fails := []sheet{}
	var words []string
	for i := range a.Spec.OnFail {
		f := &a.Spec.OnFail[i]
		fails = append(fails, append(sheet{{"Name", f.Name}, {"Action type", string(f.Kind())}}, whatItDoes(e, f)...))
		words = append(words, fmt.Sprintf("%s (%s)", f.Name, f.Kind()))
	}
	return append(s, sheet{
		{"Action type", string(a.Spec.Kind())}, {"Num Runs", a.Runs}, {"Num Failed", a.Fails}, {"Last Result", result}, {"Last Error", a.LastError},
		{"Enabled", !a.Disabled}, {"Flags", actionFlags(a.Spec.Flags)}, {"Delivery", a.Spec.Delivers().String()}, {"Fail Actions", said{inWords(words), fails}},
	}...)
}

// whatItDoes are the fields that only one kind of action has.
func whatItDoes(e *core.Entity, a *core.ActionSpec) sheet {
	switch {
	case a.Restart != nil:
		command := a.Restart.Command
		if command == nil {
			command = &e.Settings.Command
		}
		return sheet{{"Restart Line", commandLine(command)}}
	case a.Execute != nil:
		return executed("Execute", a.Execute)
	case a.Dump != nil:
		return executed("Dump", a.Dump)
	case a.WaitFor != nil:
		return sheet{{"Waitfor", awaited(a.WaitFor)}, {"Waitfor Delay", a.WaitFor.Timeout}}
	case a.Notify != nil:
		return notified(a.Notify)
	case a.Signal != nil:
		return signalled("Signal", a.Signal)
	case a.Kill != nil:
		steps := a.Kill.Steps
		if len(steps) == 0 {
			steps = e.Settings.Stop
		}
		if len(steps) == 0 {
			steps = core.DefaultStop()
		}
		return sheet{{"Kill Steps", said{stepWords(steps), steps}}, {"Kill Only Self", a.Kill.OnlySelf || e.Settings.OnlySelf}}
	case a.Log != nil:
		return sheet{{"Log Message", a.Log.Text}, {"Log Prefix", a.Log.Prefix}, {"Log Verbosity", a.Log.Verbosity}}
	case a.Raise != nil:
		return sheet{{"Raise Entity", a.Raise.Entity}, {"Raise Type", a.Raise.Type}, {"Raise Class", a.Raise.Class}, {"Raise Severity", a.Raise.Severity}}
	case a.Enable != nil:
		return sheet{{"Enable Path", a.Enable.Path.String()}, {"Recurse", a.Enable.Recurse}}
	case a.Disable != nil:
		return sheet{{"Disable Path", a.Disable.Path.String()}, {"Recurse", a.Disable.Recurse}}
	}
	return nil
}

func executed(what string, x *core.Execute) sheet {
	timeout := x.Timeout
	if timeout == 0 && !x.Background {
		timeout = core.DefaultExecute
	}
	return sheet{{what + " Line", commandLine(&x.Command)}, {what + " Timeout", timeout}, {"Background", x.Background}}
}

func notified(n *core.Notify) (s sheet) {
	switch {
	case n.Signal != nil:
		s = signalled("Notify Signal", n.Signal)
	case n.Datagram != "":
		s = sheet{{"Notify Socket", n.Datagram}}
	case n.HTTP != "":
		s = sheet{{"Notify URL", n.HTTP}}
	default:
		s = sheet{{"Notify Client", n.Client}}
	}
	return append(s, field{"Notify Text", n.Text})
}

// signalled is about a signal. It goes to the entity's own process unless a pid says otherwise.
func signalled(what string, s *core.Signal) sheet {
	var pid any
	if s.PID != 0 {
		pid = s.PID
	}
	return sheet{{what, said{signalName(s.Signal), s.Signal}}, {"Signal Pid", pid}, {"Signal Value", s.Value}, {"Signal Group", s.Group}}
}

func stepWords(steps []core.KillStep) string {
	var words []string
	for _, s := range steps {
		words = append(words, fmt.Sprintf("%s %v", signalName(s.Signal), s.Wait))
	}
	return strings.Join(words, ", ")
}

// commandLine is a command as one would type it; JSON has its arguments one by one.
func commandLine(c *core.Command) said {
	words := make([]string, len(c.Argv))
	for i, arg := range c.Argv {
		if words[i] = arg; arg == "" || strings.ContainsAny(arg, " \"'\\") || oneLine(arg) != arg {
			words[i] = strconv.Quote(arg)
		}
	}
	return said{strings.Join(words, " "), append([]string{}, c.Argv...)}
}
