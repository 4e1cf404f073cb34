package core

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func reflectType(v any) reflect.Type { return reflect.TypeOf(v) }

var names = []string{"a", "b", "c", "d"}

// draw draws one of n. Rapid prefers small numbers; here each is to come as often as any other.
func (s *sim) draw(what string, n int) int {
	return int(scramble(uint64(rapid.Uint16().Draw(s.T, what))) % uint64(n))
}
func (s *sim) coin(what string) bool { return s.draw(what, 2) == 0 }
func (s *sim) name() string          { return names[s.draw("entity", len(names))] }

// something lets one thing happen, drawn by lot: most often that an outcome comes or a process ends.
func (s *sim) something() {
	switch n := s.draw("what", 24); {
	case n < 7:
		s.finishOne(s.draw("which", 8), s.draw("fails", 4) == 0)
	case n < 11:
		s.endOne(s.name())
	case n < 14:
		s.pass(time.Duration(s.draw("time", 4000)) * time.Millisecond)
	case n == 14:
		s.takeOver()
	case n < 17:
		s.ask(Request{Declare: &Declare{Entity: s.entity(s.name()), Exact: s.coin("exact")}})
	case n == 17:
		s.ask(s.attachment())
	case n < 20:
		s.ask(s.control())
	case n == 20:
		s.ask(s.report())
	case n == 21:
		s.step(s.news())
	default:
		s.step(Event{Beats: &Beats{Entities: []string{s.name(), s.name()}}})
	}
}

func (s *sim) ask(r Request) {
	s.request++
	r.ID = s.request
	r.By = Peer{Client: uint64(1 + s.draw("client", 2)), PID: s.pid, UID: uint32(s.draw("user", 2)), Admin: s.draw("admin", 4) != 0}
	s.step(Event{Request: &r})
}

// finishOne has the outcome of an effect come.
func (s *sim) finishOne(which int, fails bool) {
	if len(s.open) == 0 {
		return
	}
	id := s.open[which%len(s.open)]
	if e, ok := s.effects[id].(End); ok && !fails {
		s.exit(e.Entity, e.PID) // the news of it comes first
	}
	s.open = slices.DeleteFunc(s.open, func(x uint64) bool { return x == id })
	err := map[bool]string{true: "it went wrong"}[fails]
	switch e := s.effects[id].(type) {
	case Spawn:
		ev := &Spawned{ID: id, Err: err, Retry: fails && s.coin("retry")}
		if !fails {
			s.pid++
			ev.PID, ev.Start = s.pid, uint64(s.pid)
			s.alive[e.Entity] = append(s.alive[e.Entity], s.pid)
		}
		s.step(Event{Spawned: ev})
	default:
		s.step(Event{Done: &Done{ID: id, Err: err}})
	}
}

func (s *sim) exit(entity string, pid int) {
	if !slices.Contains(s.alive[entity], pid) {
		return
	}
	s.alive[entity] = slices.DeleteFunc(s.alive[entity], func(x int) bool { return x == pid })
	if e := s.store.Entity(entity); e != nil && e.paired() {
		s.step(Event{Pair: &PairFacts{Entity: entity, Pair: Pair{Instance: "i", Gone: true}}})
		return
	}
	exit := Exit{Known: true, Signal: []int{0, 9, 11}[s.draw("signal", 3)]}
	s.step(Event{Exited: &Exited{Entity: entity, PID: pid, Start: uint64(pid), Exit: exit}})
}

func (s *sim) endOne(entity string) {
	if pids := s.alive[entity]; len(pids) > 0 {
		s.exit(entity, pids[0])
	}
}

// pass lets time pass, with ticks that now and then come late.
func (s *sim) pass(d time.Duration) {
	end := s.now + d
	for s.wake >= 0 && s.wake <= end {
		s.now = max(s.now, s.wake)
		if s.draw("late", 10) == 0 {
			s.now += time.Second
		}
		s.step(Event{Tick: &Tick{}})
	}
	s.now = max(s.now, end)
}

// takeOver has other machines go on from the records.
func (s *sim) takeOver() {
	s.store, s.other = s.reread(), s.reread()
	s.m, s.twin = New(s.store), New(s.other)
	kept := s.open
	s.now += time.Duration(s.draw("away", 3)) * time.Second
	s.open, s.wake, s.resumed = nil, -1, true
	s.step(Event{Resumed: &Resumed{PID: 2, Planned: s.coin("planned")}})
	s.resumed = false
	for _, id := range kept { // what is not given out again was given up: nobody waits for it
		if !slices.Contains(s.open, id) {
			require.NotContains(s, s.m.flight, id)
		}
	}
}

func (s *sim) attachment() Request {
	name := s.name()
	if s.coin("present") && len(s.alive[name]) > 0 {
		pid := s.alive[name][0]
		return Request{Attach: &Attach{Entity: name, PID: pid, Start: uint64(pid)}}
	}
	switch s.draw("attach", 4) {
	case 0:
		return Request{Detach: &Detach{Path: Handle{Path: Path{Entity: name}}, Stop: s.coin("stop")}}
	case 1:
		return Request{Remove: &Remove{Path: Handle{Path: Path{Entity: name}}, Stop: s.coin("stop")}}
	case 2:
		return Request{Attach: &Attach{Entity: name}}
	}
	s.pid++
	return Request{Attach: &Attach{Entity: name, PID: s.pid, Start: uint64(s.pid), Self: true, Heartbeat: s.heartbeat()}}
}

func (s *sim) control() Request {
	c := &Control{Path: Handle{Path: Path{Entity: s.name()}}, Recurse: s.coin("recurse"), Flags: uint32(s.draw("flags", 8))}
	verbs := []Verb{Enable, Disable, AddFlags, RemoveFlags, SetFlags, GetFlags, StartProcess, StopProcess, RestartProcess, StartProcess, StopProcess, RestartProcess}
	c.Verb = verbs[s.draw("verb", len(verbs))]
	if s.draw("stop all", 60) == 0 {
		c.Verb = StopAll
	}
	if e := s.store.Entity(c.Path.Entity); e != nil && len(e.Conditions) > 0 && s.draw("deep", 3) == 0 {
		c.Path.Condition = e.Conditions[0].Spec.Name
	}
	return Request{Control: c}
}

func (s *sim) report() Request {
	if s.coin("state") {
		return Request{State: &ReportState{Entity: Handle{Path: Path{Entity: s.name()}}, State: int64(s.draw("state", 3))}}
	}
	return Request{Raise: &Raise{Entity: s.name(), Type: int64(s.draw("type", 3)), Severity: int64(s.draw("severity", 3))}}
}

// news is what comes from the entities without being asked for.
func (s *sim) news() Event {
	name := s.name()
	pid := 0
	if len(s.alive[name]) > 0 {
		pid = s.alive[name][0]
	}
	if e := s.store.Entity(name); e != nil && e.Settings.Pair != "" {
		return Event{Pair: &PairFacts{Entity: name, Pair: s.pair(e)}}
	}
	switch s.draw("news", 4) {
	case 0:
		return Event{Disconnected: &Disconnected{Client: uint64(1 + s.draw("client", 2))}}
	case 1:
		return Event{Sampled: &Sampled{Entity: name, PID: pid, Start: uint64(pid), RSS: int64(s.draw("rss", 3))}}
	case 2:
		return Event{Self: &SelfFacts{PID: 1, GuardianPID: 2, GuardianDied: s.coin("died")}}
	}
	n := &Notified{Entity: name, Ready: s.coin("ready"), Reloading: s.coin("reloading"), Stopping: s.draw("stopping", 4) == 0, Trigger: s.draw("trigger", 4) == 0}
	return Event{Notified: n}
}

// pair draws what the registry tells of a pair next.
func (s *sim) pair(e *Entity) Pair {
	p := Pair{Instance: "i", Epoch: uint32(s.draw("epoch", 3)), Takeovers: uint64(s.draw("takeovers", 3)), Stopped: s.draw("stopped", 4) == 0}
	if s.draw("members", 3) > 0 {
		pid := e.Process.PID
		if pid == 0 || s.coin("another") {
			s.pid++
			pid = s.pid
		}
		p.Members = []PairMember{{PID: pid, Start: uint64(pid), Role: "primary"}}
		s.alive[e.Name] = []int{pid}
	} else {
		p.Gone = true
		if e.Pair != nil && len(e.Pair.Members) > 0 {
			delete(s.alive, e.Name)
		}
	}
	return p
}

func (s *sim) heartbeat() *Heartbeat {
	if s.coin("beats") {
		return nil
	}
	return &Heartbeat{Period: 100 * time.Millisecond, Low: s.draw("low", 3), High: 2, Grace: time.Duration(s.draw("grace", 2)) * time.Second}
}

// entity draws the declaration of an entity.
func (s *sim) entity(name string) *EntitySpec {
	e := &EntitySpec{Name: name, Flags: EntityFlags(s.draw("keep", 2))}
	if s.draw("settings", 6) > 0 {
		e.Settings = &Settings{Command: Command{Argv: []string{"/bin/" + name}}, Start: s.coin("start")}
		e.Settings.Restart = Budget{Limit: 3, Healthy: time.Hour, Delay: time.Second, Slow: s.coin("slow"), Jitter: 0.5}
		if h := s.heartbeat(); h != nil {
			e.Settings.Heartbeat = *h
		}
		if s.draw("pair", 4) == 0 {
			e.Settings.Pair = name
		}
		if on := s.name(); on > name {
			e.Settings.After = []Dependency{{Entity: on, Restart: s.coin("with it")}}
		}
		switch s.draw("ready", 4) {
		case 0:
			e.Settings.Ready = Readiness{Notify: true, Timeout: time.Second}
		case 1:
			e.Settings.Ready = Readiness{Probe: &WaitFor{Path: "/run/x", Timeout: time.Second}}
		}
	}
	withRestart := false
	for i := range s.draw("conditions", 4) {
		c := ConditionSpec{Name: fmt.Sprint("c", i), On: ConditionType(1 + s.draw("on", 15)), Flags: ConditionFlags(s.draw("flags", 16))}
		if s.coin("death") {
			c.On = OnDeath
		}
		switch c.On {
		case OnState:
			c.From, c.To = Anything(), IsNot(0)
		case OnRaise:
			c.Type, c.Class, c.Severity = Is(1, 2), Anything(), IsNot(0)
		case OnResourceExceeded:
			c.Resource = &Resource{RSS: 1, For: 2}
		}
		for k := range s.draw("actions", 4) {
			c.Actions = append(c.Actions, s.action(fmt.Sprint("a", k), c.On, &withRestart))
		}
		e.Conditions = append(e.Conditions, c)
	}
	return e
}

func (s *sim) action(name string, on ConditionType, withRestart *bool) ActionSpec {
	a := s.simple(name)
	a.Flags = ActionFlags(s.draw("flags", 32))
	if a.Flags&RearmAction != 0 {
		a.Flags &^= OneShot
	}
	if s.coin("fail list") {
		a.OnFail = []ActionSpec{s.simple("f1"), s.simple("f2")}
	}
	if on.death() && !*withRestart && s.coin("restart") {
		a = ActionSpec{Name: name, Flags: a.Flags &^ DoNow, Restart: &Restart{}, OnFail: a.OnFail}
		*withRestart = true
	}
	return a
}

func (s *sim) simple(name string) ActionSpec {
	a := ActionSpec{Name: name}
	switch s.draw("kind", 8) {
	case 0:
		a.Execute = &Execute{Command: Command{Argv: []string{"/bin/true"}}, Background: s.coin("background")}
	case 1:
		a.WaitFor = &WaitFor{Timeout: time.Second}
	case 2:
		a.WaitFor = &WaitFor{Path: "/run/x", Timeout: time.Second}
	case 3:
		a.Kill = &Kill{}
	case 4:
		a.Signal = &Signal{Signal: 10}
	case 5:
		a.Raise = &Raise{Entity: s.name(), Type: 1, Severity: 1}
	case 6:
		a.Notify = &Notify{Client: uint64(1 + s.draw("client", 2))}
	default:
		a.Log = &Log{Text: name}
	}
	return a
}

// drain stops everything and lets it come to an end: nothing may be left hanging.
func (s *sim) drain() {
	s.request++
	s.step(Event{Request: &Request{ID: s.request, By: root, Control: &Control{Verb: StopAll}}})
	for range 20_000 { // raises that raise one another come to an end too, but not soon
		switch {
		case len(s.open) > 0:
			s.finishOne(0, false)
		case len(slices.Collect(s.store.Jobs())) > 0:
			s.pass(time.Second)
		default:
			require.True(s, s.gone, "all has ended, but nobody says so")
			return
		}
	}
	s.Fatalf("lists that never end: %+v", slices.Collect(s.store.Jobs()))
}
