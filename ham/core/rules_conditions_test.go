package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// each returns an entity with one condition of every type that needs no more than a type.
func each() EntitySpec {
	e := entity("e")
	for t := OnAny; t <= OnResourceExceeded; t++ {
		c := on(t, RearmCondition, logs(t.String()))
		switch t {
		case OnState:
			c.From, c.To = Anything(), Anything()
		case OnRaise:
			c.Type, c.Class, c.Severity = Anything(), Anything(), Anything()
		case OnResourceExceeded:
			c.Resource = &Resource{RSS: 100}
		}
		e.Conditions = append(e.Conditions, c)
	}
	return e
}

// beating is an entity with every condition, a process that beats once in a second, and a restart.
func beating() EntitySpec {
	e := each()
	e.Settings = &Settings{Heartbeat: Heartbeat{Period: time.Second, Low: 2, High: 4}}
	e.Conditions[OnDeath-1].Actions = append(e.Conditions[OnDeath-1].Actions, flagged(restarts(), RearmAction|KeepOnFail))
	return e
}

func sampled(rss int64) step {
	return func(w *world) {
		p := w.m.look("e").Process
		w.step(Event{Sampled: &Sampled{Entity: "e", PID: p.PID, Start: p.Start, RSS: rss}})
	}
}

func onState(name string, from, to Match, actions ...ActionSpec) ConditionSpec {
	return ConditionSpec{Name: name, On: OnState, Flags: RearmCondition, From: from, To: to, Actions: actions}
}

func onRaise(name string, typ, class, severity Match, actions ...ActionSpec) ConditionSpec {
	return ConditionSpec{Name: name, On: OnRaise, Flags: RearmCondition, Type: typ, Class: class, Severity: severity, Actions: actions}
}

// Rules of sections 1.1 and 2.4: which conditions fire when. In each of them a condition of every type is there.
func TestRulesOfConditionTypes(t *testing.T) {
	t.Parallel()
	runRules(t, []rule{
		{name: "CONDDEATH: it died", given: given(running(beating())), when: when(ends("e", Exit{Known: true, Code: 1})),
			then: then("log any", "log death", "spawn e")},
		{name: "CONDABNORMALDEATH: it died of a signal that makes a core; CONDDEATH and CONDANY fire too, each once",
			given: given(running(beating())), when: when(ends("e", Exit{Known: true, Signal: 11}), born("e")),
			then: then("log any", "log death", "spawn e", "log abnormal_death", "log any", "log restart")},
		{name: "CONDABNORMALDEATH: not of SIGKILL", given: given(running(beating())), when: when(ends("e", Exit{Known: true, Signal: 9})),
			then: then("log any", "log death", "spawn e")},
		{name: "CONDATTACH: a process joins", given: given(declares(each())), when: when(asks(root, attaching("e", 42))),
			then: then("watch e 42", "sample e 10s", "log any", "log attach")},
		{name: "CONDDETACH: its watch ends", given: given(declares(each()), asks(root, attaching("e", 42))), when: when(asks(root, detaching("e"))),
			then: then("unwatch e", "log any", "log detach")},
		{name: "CONDRESTART: it was restarted; CONDATTACH does not fire", given: given(running(beating()), dies("e")), when: when(born("e")),
			then: then("log any", "log restart")},
		{name: "CONDHBEATMISSEDLOW: at the low mark", given: given(running(beating())), when: when(sleeps(3 * time.Second)),
			then: then("log any", "log heartbeat_missed_low")},
		{name: "CONDHBEATMISSEDHIGH: at the high mark, after the low one", given: given(running(beating())), when: when(sleeps(5 * time.Second)),
			then: then("log any", "log heartbeat_missed_low", "log any", "log heartbeat_missed_high")},
		{name: "CONDSTATE: it enters a state", given: given(running(beating())), when: when(reporting("e", 0)), then: then("log any", "log state")},
		{name: "CONDRAISE: a component raises", given: given(running(beating())), when: when(raising("e", 0, 0, 0)), then: then("log any", "log raise")},
		{name: "gave up: the budget is used up",
			given: given(declares(limited(1)), running(limited(1)), dies("e"), born("e")), when: when(dies("e")),
			then: then("log gave up")},
		{name: "heartbeat recovered: a beat comes after a mark", given: given(running(beating()), sleeps(3*time.Second)), when: when(beats("e")),
			then: then("log any", "log heartbeat_recovered")},
		{name: "action failed: an action of the entity does",
			given: given(running(entity("e", onState("s", Anything(), Anything(), runs("x")), on(OnActionFailed, RearmCondition, logged))), reporting("e", 1)),
			when:  when(fails("run e/s/x")), then: then("log logged")},
		{name: "action failed: an action that fails of such a failure does not fire it again",
			given: given(running(entity("e", onState("s", Anything(), Anything(), runs("x")), on(OnActionFailed, RearmCondition, runs("y")))), reporting("e", 1), fails("run e/s/x")),
			when:  when(fails("run e/actionfailed/y"))},
		{name: "takeover: of HAM's own guardian, for the global entity",
			given: given(declares(EntitySpec{Name: Global, Conditions: []ConditionSpec{on(OnTakeover, 0, logged)}})), when: when(takesOver()), then: then("log logged")},
		{name: "resource exceeded: once for each time that the limit is passed", given: given(running(beating())),
			when: when(sampled(99), sampled(101), sampled(102), sampled(1), sampled(101)),
			then: then("log any", "log resource_exceeded", "log any", "log resource_exceeded")},
		{name: "resource exceeded: after as many samples as it wants",
			given: given(running(entity("e", ConditionSpec{Name: "r", On: OnResourceExceeded, Resource: &Resource{RSS: 100, For: 3}, Actions: []ActionSpec{logged}}))),
			when:  when(sampled(101), sampled(101), sampled(1), sampled(101), sampled(101), sampled(101)), then: then("log logged")},
	})
}

func limited(n int) EntitySpec {
	e := entity("e", lives(), on(OnGaveUp, RearmCondition, logs("gave up")))
	e.Settings = &Settings{Restart: Budget{Limit: n}}
	return e
}

// Rules of section 2.4: filters of states and raises, flags, and the order in which things run.
func TestRulesOfConditions(t *testing.T) {
	t.Parallel()
	from1, from2 := Is(1), Is(2)
	runRules(t, []rule{
		{name: "ham_condition_state: from and to must match both",
			given: given(declares(entity("e", onState("s", from1, from2, logged))), reporting("e", 1)),
			when:  when(reporting("e", 3), reporting("e", 2), reporting("e", 1), reporting("e", 2)), then: then("log logged")},
		{name: "ham_condition_state: a set of states",
			given: given(declares(entity("e", onState("s", Is(0, 1), Is(2, 3), logged))), reporting("e", 0)),
			when:  when(reporting("e", 2), reporting("e", 0), reporting("e", 4), reporting("e", 3)), then: then("log logged")},
		{name: "ham_condition_state: the negation of a set",
			given: given(declares(entity("e", onState("s", Anything(), IsNot(1, 2), logged)))),
			when:  when(reporting("e", 1), reporting("e", 2), reporting("e", 0)), then: then("log logged")},
		{name: "ham_condition_state: the first state comes from none: any and a negation match that, a set does not",
			given: given(declares(entity("e", onState("any", Anything(), Is(1), logs("any")), onState("not", IsNot(0), Is(1), logs("not")), onState("set", Is(0), Is(1), logs("set"))))),
			when:  when(reporting("e", 1)), then: then("log any", "log not")},
		{name: "ham_condition_state: zero is a state like any other",
			given: given(declares(entity("e", onState("s", Is(1), Is(0), logged))), reporting("e", 1)), when: when(reporting("e", 0)), then: then("log logged")},
		{name: "ham_entity_condition_state: to report the present state is no transition",
			given: given(declares(entity("e", onState("s", Anything(), Anything(), logged))), reporting("e", 1)), when: when(reporting("e", 1))},
		{name: "ham_condition_state: of nothing at all is refused",
			when: when(refused(root, declaring(entity("e", onState("s", Match{}, Anything()))), ErrBadSpec, "from and to"))},
		{name: "ham_condition_raise: type, class and severity must match all",
			given: given(declares(entity("e", onRaise("r", Is(1), Is(2), Is(3), logged)))),
			when:  when(raising("e", 0, 2, 3), raising("e", 1, 0, 3), raising("e", 1, 2, 0), raising("e", 1, 2, 3)), then: then("log logged")},
		{name: "ham_condition_raise: each may be any, a set or a negation",
			given: given(declares(entity("e", onRaise("r", Anything(), Is(1, 2), IsNot(0), logged)))),
			when:  when(raising("e", 9, 3, 1), raising("e", 9, 1, 0), raising("e", 9, 2, 5)), then: then("log logged")},
		{name: "ham_condition: all conditions of the type fire, those of the entity and the global ones, in the order of their declaration",
			given: given(declares(entity("e", named("1", on(OnAttach, 0, logs("1"))))), declares(EntitySpec{Name: Global, Conditions: []ConditionSpec{named("2", on(OnAttach, 0, logs("2")))}}),
				asks(root, declaringCondition("e", named("3", on(OnAttach, 0, logs("3")))))),
			when: when(asks(root, attaching("e", 42))), then: then("watch e 42", "log 1", "log 2", "log 3")},
		{name: "ham_condition: one that has no actions fires, and stays",
			given: given(declares(entity("e", on(OnAttach, RearmCondition)))), when: when(asks(root, attaching("e", 42))), then: then("watch e 42"),
			holds: all(tree("e", "attach:"), happened("e/attach fired"))},
		{name: "ham_condition_remove: its actions go with it, but a list that has begun goes on",
			given: given(declares(entity("e", on(OnAttach, 0, waits("w"), logged))), asks(root, attaching("e", 42))),
			when:  when(asks(root, removing("e/attach")), succeeds("await e/attach/w")), then: then("log logged"), holds: tree("e")},
		{name: "HREARMAFTERRESTART of a condition: without it it is pruned at the restart, with all its actions, whatever their flags",
			given: given(running(entity("e", lives(), named("once", on(OnAttach, 0, flagged(logs("a"), RearmAction))), named("keeps", on(OnAttach, RearmCondition, logs("a"))))), dies("e")),
			when:  when(born("e")), holds: tree("e", "death: restart", "keeps: a")},
		{name: "HREARMAFTERRESTART of a condition: what is pruned fires for this restart still",
			given: given(running(entity("e", lives(), on(OnRestart, 0, logged))), dies("e")), when: when(born("e"), dies("e"), sleeps(time.Second), born("e")),
			then: then("log logged", "spawn e"), holds: tree("e", "death: restart")},
		{name: "HREARMAFTERRESTART of the global entity's conditions does not matter: it is never restarted",
			given: given(declares(EntitySpec{Name: Global, Conditions: []ConditionSpec{on(OnDeath, 0, logged)}}), running(entity("e", lives())), dies("e")),
			when:  when(born("e"), dies("e"), sleeps(time.Second)), then: then("log logged", "spawn e")},
		{name: "HCONDNOWAIT: nothing that waits may be in it (EINVAL)",
			given: given(declares(entity("e", on(OnDeath, NoWait)))),
			when: when(refused(root, declaringAction("e/death", waits("w")), ErrBadSpec, "NoWait"),
				refused(root, declaringAction("e/death", ActionSpec{Name: "k", Kill: &Kill{}}), ErrBadSpec, "NoWait"),
				refused(root, declaringAction("e/death", ActionSpec{Name: "f", Log: &Log{}, OnFail: []ActionSpec{waits("w")}}), ErrBadSpec, "NoWait"))},
		{name: "HCONDNOWAIT: a command in it is started, and not waited for",
			given: given(declares(entity("e", on(OnAttach, NoWait, runs("x"))))), when: when(asks(root, attaching("e", 42))), then: then("watch e 42", "run e/attach/x background")},
		{name: "HCONDKEEPONEMPTY: without it a condition goes with its last action", given: given(declares(entity("e", anyDeath))),
			when: when(asks(root, removing("e/death/logged"))), holds: tree("e")},
		{name: "HCONDKEEPONEMPTY: with it it stays", given: given(declares(entity("e", on(OnDeath, KeepOnEmpty, logged)))),
			when: when(asks(root, removing("e/death/logged"))), holds: tree("e", "death:")},
		{name: "HCONDKEEPONEMPTY: a condition that was declared empty has lost nothing", given: given(running(entity("e", lives(), on(OnDetach, RearmCondition))), dies("e")),
			when: when(born("e")), holds: tree("e", "death: restart", "detach:")},
		{name: "EEXIST and types: another type under the same name is another condition", given: given(declares(entity("e", named("c", on(OnAttach, 0, logged))))),
			when: when(func(w *world) {
				old := w.m.look("e").Conditions[0].Generation
				w.must(w.ask(root, declaringCondition("e", named("c", on(OnDetach, 0)))))
				require.NotEqual(t, old, w.m.look("e").Conditions[0].Generation)
			})},
		{name: "resource limits belong to their condition, and it needs them",
			when: when(refused(root, declaring(entity("e", on(OnResourceExceeded, 0))), ErrBadSpec, "needs them"),
				refused(root, declaring(entity("e", ConditionSpec{Name: "c", On: OnDeath, Resource: &Resource{FDs: 1}})), ErrBadSpec, "resource_exceeded"))},
	})
}

// Rules of section 2.4: the scheduling classes. In each of them a process attaches, and every condition waits before it logs.
func TestRulesOfScheduling(t *testing.T) {
	t.Parallel()
	slow := func(name string, flags ConditionFlags) ConditionSpec {
		return named(name, on(OnAttach, flags, waits("w"), logs(name)))
	}
	quick := func(name string) ConditionSpec { return named(name, on(OnAttach, NoWait, logs(name))) }
	attach := when(asks(root, attaching("e", 42)))
	runRules(t, []rule{
		{name: "all OTHER conditions run one after the other, FIFO", given: given(declares(entity("e", slow("1", 0), slow("2", 0)))),
			when: when(attach[0], succeeds("await e/1/w"), succeeds("await e/2/w")), then: then("watch e 42", "await e/1/w", "log 1", "await e/2/w", "log 2")},
		{name: "each INDEPENDENT condition runs by itself", given: given(declares(entity("e", slow("1", Independent), slow("2", Independent), slow("3", 0)))),
			when: when(attach[0], succeeds("await e/2/w")), then: then("watch e 42", "await e/1/w", "await e/2/w", "await e/3/w", "log 2")},
		{name: "NOWAIT conditions are not delayed by any other, and run FIFO",
			given: given(declares(entity("e", slow("1", 0), slow("2", Independent), quick("3"), quick("4")))),
			when:  attach, then: then("watch e 42", "await e/1/w", "await e/2/w", "log 3", "log 4")},
		{name: "NOWAIT: its commands run one after the other too", given: given(declares(entity("e", named("1", on(OnAttach, NoWait, runs("x"))), named("2", on(OnAttach, NoWait, runs("x")))))),
			when: when(attach[0], succeeds("run e/1/x")), then: then("watch e 42", "run e/1/x background", "run e/2/x background")},
		{name: "NOWAIT and INDEPENDENT: NOWAIT wins", given: given(declares(entity("e", named("1", on(OnAttach, NoWait, runs("x"))), named("2", on(OnAttach, NoWait|Independent, runs("x")))))),
			when: attach, then: then("watch e 42", "run e/1/x background")},
		{name: "the lanes are of the whole of HAM: the wait of one entity holds up the others that are not INDEPENDENT",
			given: given(declares(entity("e", slow("1", 0))), declares(entity("f", slow("2", 0))), declares(entity("g", slow("3", Independent))), attach[0]),
			when:  when(asks(root, attaching("f", 43)), asks(root, attaching("g", 44)), succeeds("await e/1/w")),
			then:  then("watch f 43", "watch g 44", "await g/3/w", "log 1", "await f/2/w")},
		{name: "one INDEPENDENT condition that fires twice runs its lists one after the other",
			given: given(declares(EntitySpec{Name: Global, Conditions: []ConditionSpec{slow("1", Independent)}})),
			when:  when(attach[0], asks(root, attaching("f", 43)), succeeds("await _global/1/w")),
			then:  then("watch e 42", "await _global/1/w", "watch f 43", "log 1", "await _global/1/w")},
		{name: "within a condition the actions run in the order in which they were added",
			given: given(declares(entity("e", on(OnAttach, 0, logs("1"), logs("2")))), asks(root, declaringAction("e/attach", logs("3")))),
			when:  attach, then: then("watch e 42", "log 1", "log 2", "log 3")},
		{name: "a restart that has to wait holds up nobody, and comes first when its time has come",
			given: given(running(limited2("e")), running(limited2("f")), dies("e"), born("e")),
			when:  when(dies("e"), dies("f"), born("f"), sleeps(time.Second), born("e")), then: then("spawn f", "spawn e"),
			holds: all(is("e", Running), is("f", Running))},
	})
}

func limited2(name string) EntitySpec {
	e := entity(name, lives())
	e.Settings = &Settings{Restart: Budget{Delay: time.Second}}
	return e
}
