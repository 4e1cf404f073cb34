package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func flagsOf(path string, want uint32) step {
	return func(w *world) {
		w.must(w.ask(root, controlling(path, GetFlags)))
		require.EqualValues(w.t, want, w.reply.Value)
	}
}

func verbosity(v Verb, value int, want int64) step {
	return func(w *world) {
		w.must(w.ask(root, Request{Control: &Control{Verb: v, Value: value}}))
		require.Equal(w.t, want, w.reply.Value)
	}
}

// Rules of section 2.7: control verbs, and the verbs of ours for processes.
func TestRulesOfControl(t *testing.T) {
	t.Parallel()
	attach := asks(root, attaching("e", 42))
	recurse := func(path string, v Verb) Request {
		return Request{Control: &Control{Path: handle(path), Verb: v, Recurse: true}}
	}
	runRules(t, []rule{
		{name: "HDISABLE of an entity: all its conditions are off, the global ones are not",
			given: given(declares(entity("e", onAttach)), declares(EntitySpec{Name: Global, Conditions: []ConditionSpec{on(OnAttach, 0, logs("global"))}})),
			when:  when(asks(root, controlling("e", Disable)), attach), then: then("watch e 42", "log global")},
		{name: "HENABLE of an entity: they are on again", given: given(declares(entity("e", onAttach)), asks(root, controlling("e", Disable))),
			when: when(asks(root, controlling("e", Enable)), attach), then: then("watch e 42", "log logged")},
		{name: "HDISABLE of an entity does not take it away when its process dies", given: given(declares(dropped), attach),
			when: when(asks(root, controlling("e", Disable)), dies("e")), holds: is("e", Idle)},
		{name: "HDISABLE of a condition: its actions are off", given: given(declares(entity("e", onAttach, named("other", on(OnAttach, 0, logs("other")))))),
			when: when(asks(root, controlling("e/attach", Disable)), attach), then: then("watch e 42", "log other")},
		{name: "HDISABLE of an action: it is left out", given: given(declares(upon(logs("a"), logs("b")))), when: when(asks(root, controlling("e/c/a", Disable)), attach), then: then("watch e 42", "log b")},
		{name: "HDISABLE without HRECURSE, HENABLE of what is below: the whole stays off", given: given(declares(upon(logged)), asks(root, controlling("e", Disable))),
			when: when(asks(root, controlling("e/c", Enable)), attach), then: then("watch e 42")},
		{name: "HRECURSE: everything below too", given: given(declares(upon(logged)), asks(root, recurse("e", Disable)), asks(root, controlling("e", Enable)), asks(root, controlling("e/c", Enable))),
			when: when(attach), then: then("watch e 42"), holds: func(w *world) {
				w.must(w.ask(root, recurse("e", Enable)))
				require.False(t, w.m.look("e").Conditions[0].Actions[0].Disabled)
			}},
		{name: "HADDFLAGS, HREMOVEFLAGS, HSETFLAGS, HGETFLAGS",
			given: given(declares(entity("e", anyDeath))),
			when: when(flagsOf("e", uint32(KeepOnDeath)), flagsOf("e/death", uint32(RearmCondition)), flagsOf("e/death/logged", 0),
				asks(root, flagging("e/death/logged", AddFlags, uint32(BreakOnFail))), asks(root, flagging("e/death/logged", AddFlags, uint32(KeepOnFail))), flagsOf("e/death/logged", uint32(BreakOnFail|KeepOnFail)),
				asks(root, flagging("e/death/logged", RemoveFlags, uint32(BreakOnFail))), flagsOf("e/death/logged", uint32(KeepOnFail)),
				asks(root, flagging("e/death", SetFlags, uint32(Independent))), flagsOf("e/death", uint32(Independent)),
				asks(root, flagging("e", SetFlags, 0)), flagsOf("e", 0))},
		{name: "HSETFLAGS: flags that there are not are refused", given: given(declares(entity("e", anyDeath))),
			when: when(refused(root, flagging("e", SetFlags, 2), ErrBadSpec, "unknown flags"), refused(root, flagging("e/death", SetFlags, 16), ErrBadSpec, "unknown flags"), refused(root, flagging("e/death/logged", AddFlags, 32), ErrBadSpec, "unknown flags"))},
		{name: "HCONDNOWAIT cannot be set on a condition that has waits", given: given(declares(upon(waits("w")))), when: when(refused(root, flagging("e/c", AddFlags, uint32(NoWait)), ErrBadSpec, "NoWait"))},
		{name: "HACTIONDONOW cannot be set", given: given(declares(upon(logged))), when: when(refused(root, flagging("e/c/logged", AddFlags, uint32(DoNow)), ErrBadSpec, "DoNow"))},
		{name: "a flag changed by control has its effect", given: given(declares(upon(runs("x"), logged)), asks(root, flagging("e/c/x", AddFlags, uint32(BreakOnFail|KeepOnFail))), attach),
			when: when(fails("run e/c/x")), holds: tree("e", "c: x logged")},
		{name: "an unknown verb is refused", given: given(declares(entity("e"))), when: when(refused(root, controlling("e", 99), ErrBadSpec, "verb 99"), refused(root, Request{}, ErrBadSpec, "empty request"))},
		{name: "ham_verbose: set, increase, decrease, get; never below zero",
			when: when(verbosity(VerbosityGet, 0, 0), verbosity(VerbositySet, 3, 3), verbosity(VerbosityIncr, 2, 5), verbosity(VerbosityDecr, 1, 4), verbosity(VerbosityGet, 0, 4), verbosity(VerbosityDecr, 9, 0))},
		{name: "ham_verbose: what is logged depends on it", given: given(declares(upon(ActionSpec{Name: "l", Log: &Log{Text: "quiet", Verbosity: 1}})), verbosity(VerbositySet, 1, 1)), when: when(attach), then: then("watch e 42", "log quiet")},
		{name: "ham_verbose and ham_stop are for administrators", when: when(refused(ada, Request{Control: &Control{Verb: VerbositySet}}, ErrNotPermitted, "verbosity"), refused(ada, Request{Control: &Control{Verb: StopAll}}, ErrNotPermitted, "stop"))},
		{name: "ham_stop: everything that HAM started is stopped, what was attached is left alone",
			given: given(running(entity("e", lives())), declares(entity("f", anyDeath)), asks(root, attaching("f", 43))),
			when:  when(asks(root, Request{Control: &Control{Verb: StopAll}}), dies("e"), refused(root, attaching("g", 44), ErrStopping, "g"), refused(root, controlling("e", StartProcess), ErrStopping, "e")),
			then:  then("end e", "shutdown"), holds: all(is("e", Stopped), is("f", Running))},
		{name: "ham_stop: a restart that waits is given up", given: given(running(limited2("e")), dies("e"), born("e"), dies("e")),
			when: when(asks(root, Request{Control: &Control{Verb: StopAll}}), sleeps(time.Minute)), then: then("shutdown"), holds: is("e", Stopped)},
		{name: "ham_stop: with nothing to stop", when: when(asks(root, Request{Control: &Control{Verb: StopAll}})), then: then("shutdown")},
		{name: "stop: no death, and no restart", given: given(running(entity("e", lives(logged)))), when: when(asks(root, controlling("e", StopProcess)), dies("e"), sleeps(time.Minute)), then: then("end e"),
			holds: all(is("e", Stopped), happened("e stopped"))},
		{name: "stop: of who is being started: as soon as it is", given: given(declares(withLine("e")), asks(root, controlling("e", StartProcess)), asks(root, controlling("e", StopProcess))), when: when(born("e"), dies("e")), then: then("end e"), holds: is("e", Stopped)},
		{name: "stop: of who cannot be started is done when that is known", given: given(declares(withLine("e")), asks(root, controlling("e", StartProcess)), asks(root, controlling("e", StopProcess))),
			when: when(stillborn("e", "no such file", false)), holds: is("e", Stopped)},
		{name: "stop: a restart that waits is given up", given: given(running(limited2("e")), dies("e"), born("e"), dies("e")), when: when(asks(root, controlling("e", StopProcess)), sleeps(time.Minute)),
			holds: func(w *world) { is("e", Stopped)(w); require.Nil(t, w.store.Job(w.m.look("e").Process.Reviver)) }},
		{name: "stop: a list that has not come to its restart goes on without", given: given(running(entity("e", on(OnDeath, RearmCondition, waits("w"), restarts(), logged))), dies("e")),
			when: when(asks(root, controlling("e", StopProcess)), succeeds("await e/death/w")), holds: is("e", Stopped)},
		{name: "stop: who does not go is told of, and gone when it goes", given: given(running(entity("e")), asks(root, controlling("e", StopProcess)), fails("end e")), when: when(dies("e")),
			holds: all(is("e", Stopped), happened("e action failed"))},
		{name: "stop: a process that was ended and is not heard of counts as gone", given: given(running(entity("e")), asks(root, controlling("e", StopProcess))), when: when(succeeds("end e"), sleeps(2*time.Second)), holds: is("e", Stopped)},
		{name: "start: after a stop", given: given(running(entity("e", lives())), asks(root, controlling("e", StopProcess)), dies("e")), when: when(asks(root, controlling("e", StartProcess)), born("e")), then: then("spawn e"), holds: is("e", Running)},
		{name: "start: while it is being stopped", given: given(running(entity("e", lives())), asks(root, controlling("e", StopProcess))), when: when(asks(root, controlling("e", StartProcess)), dies("e"), born("e")), then: then("spawn e"), holds: is("e", Running)},
		{name: "start: of who runs is no error", given: given(running(entity("e"))), when: when(asks(root, controlling("e", StartProcess))), holds: is("e", Running)},
		{name: "restart on purpose: it is ended and started, and the budget is not touched", given: given(running(entity("e", lives()))), when: when(asks(root, controlling("e", RestartProcess)), dies("e"), born("e")), then: then("end e", "spawn e"),
			holds: func(w *world) {
				require.EqualValues(t, 1, w.m.look("e").Restarts)
				require.Zero(t, w.m.look("e").Spent.Count)
			}},
		{name: "start, stop and restart need something to do it with", given: given(declares(entity("e"))),
			when: when(refused(root, controlling("e", StartProcess), ErrBadSpec, "no command"), refused(root, controlling("e", StopProcess), ErrNotRunning, "e"), refused(root, controlling(Global, StopProcess), ErrBadSpec, "no process"))},
		{name: "remove: what runs is refused, unless it is to be stopped first", given: given(running(entity("e", lives()))),
			when: when(refused(root, removing("e"), ErrRunning, "e"), asks(root, Request{Remove: &Remove{Path: handle("e"), Stop: true}}), dies("e")), then: then("end e"), holds: gone("e")},
		{name: "remove: a restart that waits is given up", given: given(running(limited2("e")), dies("e"), born("e"), dies("e")), when: when(asks(root, Request{Remove: &Remove{Path: handle("e"), Stop: true}}), sleeps(time.Minute)), holds: gone("e")},
	})
}

// Restart budgets.
func TestRulesOfBudgets(t *testing.T) {
	t.Parallel()
	with := func(b Budget) EntitySpec {
		e := entity("e", lives(), on(OnGaveUp, RearmCondition, logs("gave up")))
		e.Settings = &Settings{Restart: b}
		return e
	}
	again := func(n int, after time.Duration) (s []step) {
		for range n {
			s = append(s, dies("e"), sleeps(after), born("e"))
		}
		return s
	}
	runRules(t, []rule{
		{name: "the first restart is done at once, the second after a delay, each delay longer than the one before, up to the cap",
			given: given(append([]step{running(with(Budget{Delay: time.Second, Factor: 3, Cap: 5 * time.Second, Half: 1000 * time.Hour}))}, again(1, 0)...)...),
			when: when(dies("e"), sleeps(999*time.Millisecond), says("1"), sleeps(time.Millisecond), born("e"), dies("e"), sleeps(2*time.Second), says("2"), sleeps(time.Second+time.Millisecond), born("e"),
				dies("e"), sleeps(4999*time.Millisecond), says("3"), sleeps(time.Millisecond)),
			then: then("1", "spawn e", "2", "spawn e", "3", "spawn e")},
		{name: "delays can be listed", given: given(append([]step{running(with(Budget{Delays: []time.Duration{0, 2 * time.Second, time.Second}, Half: 1000 * time.Hour}))}, again(1, 0)...)...),
			when: when(dies("e"), sleeps(1999*time.Millisecond), says("1"), sleeps(time.Millisecond), born("e"), dies("e"), sleeps(time.Second), born("e"), dies("e"), sleeps(time.Second)), then: then("1", "spawn e", "spawn e", "spawn e")},
		{name: "jitter makes a delay longer, by lot", given: given(append([]step{running(with(Budget{Delay: time.Second, Jitter: 1}))}, again(1, 0)...)...), when: when(dies("e")),
			holds: func(w *world) {
				due := w.m.look("e").Process.Due - w.now
				require.True(t, due > time.Second && due < 2*time.Second, "delay %v, expected one to two seconds", due)
			}},
		{name: "a used-up budget: it gives up, the fail list runs, and the restart stays in its place",
			given: given(append([]step{running(with(Budget{Limit: 2, Delay: time.Second}))}, again(2, 2*time.Second)...)...),
			when:  when(asks(root, failing("e/death/restart", logs("failed"))), dies("e"), sleeps(time.Hour)), then: then("log failed", "log gave up"),
			holds: all(is("e", Failed), tree("e", "death: restart", "gaveup: gave up"))},
		{name: "a used-up budget: a start by hand clears it", given: given(append([]step{running(with(Budget{Limit: 1}))}, append(again(1, 0), dies("e"))...)...), when: when(asks(root, controlling("e", StartProcess)), born("e"), dies("e")), then: then("spawn e", "spawn e")},
		{name: "a used-up budget that stays slow: it goes on with the longest delay", given: given(append([]step{running(with(Budget{Limit: 1, Cap: 10 * time.Second, Slow: true, Half: 1000 * time.Hour}))}, again(1, 0)...)...),
			when: when(dies("e"), sleeps(9*time.Second), says("1"), sleeps(time.Second), born("e"), dies("e"), sleeps(9*time.Second), says("2"), sleeps(time.Second)), then: then("1", "spawn e", "2", "spawn e")},
		{name: "no limit: it never gives up", given: given(append([]step{running(with(Budget{Limit: -1, Cap: time.Second, Half: 1000 * time.Hour}))}, again(30, time.Second)...)...), when: when(dies("e"), sleeps(time.Second)), then: then("spawn e")},
		{name: "a healthy time clears the budget", given: given(append([]step{running(with(Budget{Limit: 1, Healthy: time.Minute, Half: 1000 * time.Hour}))}, again(1, 0)...)...), when: when(sleeps(time.Minute), dies("e")), then: then("spawn e")},
		{name: "a time less than that does not", given: given(append([]step{running(with(Budget{Limit: 1, Healthy: time.Minute, Half: 1000 * time.Hour}))}, again(1, 0)...)...), when: when(sleeps(59*time.Second), dies("e")), then: then("log gave up")},
		{name: "the count decays by half in the half time", given: given(append([]step{running(with(Budget{Limit: 2, Healthy: time.Hour, Half: time.Minute, Delay: time.Second, Cap: time.Second}))}, again(2, time.Second)...)...), when: when(sleeps(2*time.Minute), dies("e"), sleeps(time.Second)), then: then("spawn e"),
			holds: func(w *world) { require.InDelta(t, 1.5, w.m.look("e").Spent.Count, .1) }},
		{name: "a budget that makes no sense is refused",
			when: when(refused(root, declaring(with(Budget{Factor: .5})), ErrBadSpec, "factor"), refused(root, declaring(with(Budget{Jitter: 2})), ErrBadSpec, "jitter"), refused(root, declaring(with(Budget{Cap: -1})), ErrBadSpec, "negative"))},
	})
}
