package tree

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// entityPage is about an entity.
func entityPage(e *core.Entity, beat time.Time) sheet {
	s := sheet{
		{"Path", e.Name}, {"Entity Pid", e.Process.PID}, {"Num conditions", len(e.Conditions)}, {"Entity type", e.Kind.String()},
		{"Stats", heading{}},
	}
	if h := &e.Settings.Heartbeat; h.Period != 0 {
		s = append(s, sheet{
			{"HeartBeat Period", h.Period.Nanoseconds()}, {"HB Low Mark", h.Low}, {"HB High Mark", h.High},
			{"Last Heartbeat", beat.UTC()}, {"HeartBeat State", e.Pulse.State.String()},
		}...)
	}
	s = append(s, sheet{{"Created", wall(e.Created)}, {"Num Restarts", e.Restarts}}...)
	s = append(s, lifeOf(e)...)
	s = append(s, declaredOf(e)...)
	if e.Settings.Pair != "" {
		s = append(s, pairOf(e)...)
	}
	return append(s, field{"History", chronicle(e.History)})
}

// lifeOf is what QNX lacks of what has become of an entity.
func lifeOf(e *core.Entity) sheet {
	p, budget := &e.Process, e.Settings.Restart.Defaults()
	s := sheet{
		{"Num Deaths", e.Deaths}, {"Death Times", deathTimes(e.History)}, {"Last Exit", said{exitWords(e.LastExit), e.LastExit}},
		{"Phase", p.Phase.String()}, {"Running Since", fromClock(e, p.Since)}, {"Started By Ham", p.Spawned}, {"Ready", p.Ready},
		{"Restart Count", e.Spent.Count}, {"Restart Limit", limitOf(budget.Limit)}, {"Restart Half", budget.Half},
	}
	if p.Phase == core.Delayed {
		s = append(s, field{"Restart At", fromClock(e, p.Due)})
	}
	if e.Settings.Heartbeat.Period != 0 {
		s = append(s, field{"HB Num Missed", e.Pulse.Missed})
	}
	var state any
	if e.Entered {
		state = e.State
	}
	return append(s, sheet{{"Reported State", state}, {"Status", e.Status}, {"Descriptors", e.FDs}}...)
}

// limitOf returns the limit of a budget; none of a negative one.
func limitOf(limit int) any {
	if limit < 0 {
		return nil
	}
	return limit
}

// declaredOf is what was declared of an entity.
func declaredOf(e *core.Entity) sheet {
	var after []string
	for _, d := range e.Settings.After {
		if d.Restart {
			d.Entity += " (restarts with it)"
		}
		after = append(after, d.Entity)
	}
	return sheet{
		{"Enabled", !e.Disabled}, {"Flags", entityFlags(e.Flags)}, {"Owner", ownerOf(e.Owner)}, {"Command Line", commandLine(&e.Settings.Command)},
		{"Depends On", said{inWords(after), dependencies(e.Settings.After)}}, {"Ready When", readiness(&e.Settings.Ready)},
	}
}

// pairOf is about an entity that is a process pair.
func pairOf(e *core.Entity) sheet {
	pair := e.Pair
	if pair == nil {
		pair = &core.Pair{}
	}
	members := []core.PairMember{}
	var words []string
	for _, m := range pair.Members {
		word := fmt.Sprintf("%d %s", m.PID, m.Role)
		if m.Synchronised {
			word += " synchronised"
		}
		members, words = append(members, m), append(words, word)
	}
	return sheet{
		{"Pair", e.Settings.Pair}, {"Pair Instance", pair.Instance}, {"Pair Epoch", pair.Epoch}, {"Pair Members", said{inWords(words), members}},
		{"Pair Takeovers", pair.Takeovers}, {"Pair Switches", pair.Switches},
	}
}

// deathTimes are those that the entity's history still holds.
func deathTimes(history []core.Happening) said {
	times, words := []time.Time{}, []string{}
	for _, h := range history {
		if h.What == core.HasDied {
			times, words = append(times, wall(h.Wall)), append(words, stamp(wall(h.Wall)))
		}
	}
	return said{inWords(words), times}
}

// fromClock returns the time of day of a time of the machine's clock, by a happening of which both are known; the zero time without
// one, and of 0.
func fromClock(e *core.Entity, at time.Duration) time.Time {
	if at == 0 || len(e.History) == 0 {
		return time.Time{}
	}
	h := &e.History[len(e.History)-1]
	return wall(h.Wall + int64(at-h.At))
}

// exitWords puts the end of a process into words.
func exitWords(x *core.Exit) string {
	switch {
	case x == nil:
		return ""
	case !x.Known:
		return "unknown"
	case x.Signal == 0:
		return fmt.Sprintf("status %d", x.Code)
	case x.Core:
		return signalName(x.Signal) + ", core"
	}
	return signalName(x.Signal)
}

func ownerOf(o core.Owner) said {
	words := fmt.Sprintf("uid %d gid %d", o.UID, o.GID)
	if o.Admin {
		words += ", administrators"
	}
	return said{words, o}
}

func dependencies(after []core.Dependency) []core.Dependency {
	return append([]core.Dependency{}, after...)
}

// readiness says when an entity counts as ready.
func readiness(r *core.Readiness) said {
	words := "it runs"
	switch {
	case r.Notify:
		words = "READY=1"
	case r.Beat:
		words = "heartbeat"
	case r.State != nil:
		words = fmt.Sprintf("state %d", *r.State)
	case r.Probe != nil:
		words = strings.Join(awaited(r.Probe), ", ")
	}
	if r.Timeout != 0 {
		words += fmt.Sprintf(" within %v", r.Timeout)
	}
	return said{words, r}
}

// awaited returns what a wait is for.
func awaited(w *core.WaitFor) []string {
	all := []string{"path " + w.Path, "tcp " + w.TCP, "unix " + w.Unix, "http " + w.HTTP}
	return slices.DeleteFunc(all, func(s string) bool { return strings.HasSuffix(s, " ") })
}
