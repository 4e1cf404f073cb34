package core

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// upon returns an entity whose actions run when it is attached.
func upon(actions ...ActionSpec) EntitySpec {
	return entity("e", named("c", on(OnAttach, RearmCondition, actions...)))
}

func withFail(a ActionSpec, flags ActionFlags, onFail ...ActionSpec) ActionSpec {
	a.Flags, a.OnFail = flags, onFail
	return a
}

func raisesAgain(name string) ActionSpec {
	return ActionSpec{Name: name, Flags: KeepOnFail, Raise: &Raise{}}
}

func notes(name string, n Notify) ActionSpec { return ActionSpec{Name: name, Notify: &n} }

// Rules of section 2.5: what each kind of action does.
func TestRulesOfActions(t *testing.T) {
	t.Parallel()
	attach := asks(root, attaching("e", 42))
	runRules(t, []rule{
		{name: "ham_action_restart: only in a death condition",
			when: when(refused(root, declaring(upon(restarts())), ErrBadSpec, "death condition"), refused(root, declaring(entity("e", on(OnHeartbeatMissedHigh, 0, restarts()))), ErrBadSpec, "death condition"),
				refused(root, declaring(entity("e", on(OnAny, 0, restarts()))), ErrBadSpec, "death condition"), refused(root, declaring(EntitySpec{Name: Global, Conditions: []ConditionSpec{lives()}}), ErrBadSpec, "of the entity itself"))},
		{name: "ham_action_restart: only one over all death conditions of an entity",
			given: given(declares(entity("e", lives()))),
			when: when(refused(root, declaringCondition("e", on(OnAbnormalDeath, 0, restarts())), ErrOnlyRestart, "e/death/restart"),
				refused(root, declaringAction("e/death", ActionSpec{Name: "second", Restart: &Restart{}}), ErrOnlyRestart, "e/death/second"))},
		{name: "ham_action_restart: with a line of its own", given: given(declares(entity("e", on(OnDeath, 0, ActionSpec{Name: "r", Restart: &Restart{Command: &Command{Argv: []string{"/bin/other"}}}}))), attach),
			when: when(dies("e")), then: then("spawn e"),
			holds: func(w *world) { require.Equal(t, []string{"/bin/other"}, w.last["spawn e"].(Spawn).Command.Argv) }},
		{name: "ham_action_restart: fails without any line", given: given(declares(entity("e", on(OnDeath, 0, withFail(restarts(), 0, logs("failed"))))), attach),
			when: when(dies("e")), then: then("log failed"), holds: happened("e/death/restart action failed")},
		{name: "ham_action_restart: when it fails its fail list runs, and the entity stays away",
			given: given(running(entity("e", on(OnDeath, RearmCondition, withFail(restarts(), RearmAction, logs("failed")), logged))), dies("e")),
			when:  when(stillborn("e", "no such file", false)), then: then("log failed", "log logged"), holds: all(is("e", Failed), tree("e", "death: logged"))},
		{name: "ham_action_restart: what may go away by itself is tried again within the budget",
			given: given(running(entity("e", lives())), dies("e")),
			when:  when(stillborn("e", "no processes left", true), sleeps(time.Second), born("e")), then: then("spawn e"), holds: is("e", Running)},
		{name: "the first start that fails is a death: it is restarted if death is", given: given(declares(entity("e", lives(logged)))),
			when: when(getsACommand(), stillborn("e", "no such file", false), born("e")), then: then("spawn e", "spawn e", "log logged")},
		{name: "ham_action_execute: the next action waits for its end", given: given(declares(upon(runs("x"), logged))), when: when(attach, succeeds("run e/c/x")),
			then: then("watch e 42", "run e/c/x", "log logged")},
		{name: "ham_action_execute in the background: the next action waits for its start only", given: given(declares(upon(ActionSpec{Name: "x", Execute: &Execute{Command: Command{Argv: []string{"x"}}, Background: true}}, logged))),
			when: when(attach), then: then("watch e 42", "run e/c/x background")},
		{name: "ham_action_execute: a line for a shell is no command", when: when(refused(root, declaring(upon(ActionSpec{Name: "x", Execute: &Execute{}})), ErrBadSpec, "no command"))},
		{name: "ham_action_waitfor without a path: it waits", given: given(declares(upon(ActionSpec{Name: "w", WaitFor: &WaitFor{Timeout: 5 * time.Second}}, logged)), attach),
			when: when(sleeps(4999*time.Millisecond), says("not yet"), sleeps(time.Millisecond)), then: then("not yet", "log logged")},
		{name: "ham_action_waitfor with a path: it goes on when the path is there", given: given(declares(upon(waits("w"), logged)), attach), when: when(succeeds("await e/c/w")), then: then("log logged")},
		{name: "ham_action_waitfor with a path: it fails when the path does not appear", given: given(declares(upon(withFail(waits("w"), 0, logs("failed")), logged)), attach), when: when(fails("await e/c/w")),
			then: then("log failed", "log logged"), holds: tree("e", "c: logged")},
		{name: "ham_action_waitfor: the delay must be > 0", when: when(refused(root, declaring(upon(ActionSpec{Name: "w", WaitFor: &WaitFor{}})), ErrBadSpec, "more than nothing"))},
		{name: "ham_action_notify_pulse: it says what happened", given: given(declares(upon(notes("n", Notify{Client: 9, Text: "hello"})))), when: when(attach), then: then("watch e 42", "tell e/c/n"),
			holds: func(w *world) {
				tell := w.last["tell e/c/n"].(Tell)
				require.Equal(t, "hello", tell.Notify.Text)
				require.Equal(t, Cause{Seq: tell.Cause.Seq, Wall: int64(w.now), Entity: "e", Type: OnAttach, PID: 42}, tell.Cause)
			}},
		{name: "ham_action_notify_pulse to a client: it goes with the client", given: given(declares(upon(notes("n", Notify{Client: ada.Client}), logged))), when: when(disconnects(ada)), holds: tree("e", "c: logged")},
		{name: "ham_action_notify_signal: to a process, with a value", given: given(declares(upon(notes("n", Notify{Signal: &Signal{PID: 7, Signal: 10, Value: 3}})))), when: when(attach), then: then("watch e 42", "tell e/c/n"),
			holds: func(w *world) {
				require.Equal(t, Signal{PID: 7, Signal: 10, Value: 3}, *w.last["tell e/c/n"].(Tell).Notify.Signal)
			}},
		{name: "notify: exactly one party", when: when(refused(root, declaring(upon(notes("n", Notify{}))), ErrBadSpec, "0 parties"), refused(root, declaring(upon(notes("n", Notify{Client: 1, HTTP: "http://x"}))), ErrBadSpec, "2 parties"))},
		{name: "signal: to the entity's own process", given: given(declares(upon(ActionSpec{Name: "s", Signal: &Signal{Signal: 15}}))), when: when(attach), then: then("watch e 42", "signal e/c/s 15 to 42")},
		{name: "signal: fails when there is no process", given: given(declares(entity("e", on(OnDeath, 0, withFail(ActionSpec{Name: "s", Signal: &Signal{Signal: 15}}, 0, logs("failed"))))), attach), when: when(dies("e")), then: then("log failed")},
		{name: "kill: step by step, and the list goes on when the process is gone",
			given: given(running(entity("e", onState("s", Anything(), Is(1), ActionSpec{Name: "k", Kill: &Kill{Steps: []KillStep{{Signal: 6, Wait: time.Second}, {Signal: 9, Wait: time.Second}}}}, logged), lives()))),
			when:  when(reporting("e", 1), dies("e"), succeeds("end e")), then: then("end e", "log logged", "spawn e"),
			holds: func(w *world) {
				end := w.last["end e"].(End)
				require.Len(t, end.Steps, 2)
				require.True(t, end.Group, "what HAM started leads a process group")
			}},
		{name: "kill: of who is gone already is done", given: given(declares(entity("e", on(OnDeath, 0, ActionSpec{Name: "k", Kill: &Kill{}}, logged))), attach), when: when(dies("e")), then: then("log logged")},
		{name: "dump: a command, before the process is ended", given: given(running(entity("e", onState("s", Anything(), Is(1), ActionSpec{Name: "d", Dump: &Execute{Command: Command{Argv: []string{"gcore"}}}}, ActionSpec{Name: "k", Kill: &Kill{}})))),
			when: when(reporting("e", 1), succeeds("run e/s/d")), then: then("run e/s/d", "end e")},
		{name: "ham_action_log: if HAM is verbose enough", given: given(declares(upon(ActionSpec{Name: "l", Log: &Log{Text: "quiet", Verbosity: 1}}, ActionSpec{Name: "m", Log: &Log{Text: "loud", Prefix: true}}))),
			when: when(attach), then: then("watch e 42", "log e/c/m: loud")},
		{name: "raise: to another entity", given: given(declares(upon(ActionSpec{Name: "r", Raise: &Raise{Entity: "f", Type: 1}})), declares(entity("f", onRaise("r", Is(1), Is(0), Is(0), logged)))), when: when(attach), then: then("watch e 42", "log logged")},
		{name: "raise: to who is not there fails", given: given(declares(upon(withFail(ActionSpec{Name: "r", Raise: &Raise{Entity: "f"}}, 0, logs("failed"))))), when: when(attach), then: then("watch e 42", "log failed")},
		{name: "raise: raises that raise one another do not flood HAM", given: given(declares(entity("e", onRaise("r", Anything(), Anything(), Anything(), raisesAgain("1"), raisesAgain("2"), raisesAgain("3"))))), when: when(raising("e", 1, 1, 1)),
			holds: func(w *world) {
				require.Less(w.t, w.store.Root().Fired, uint64(maxDepth*maxNested), "3^8 lists, were they not refused")
				require.Empty(w.t, slices.Collect(w.store.Jobs()), "all of them have ended")
			}},
		{name: "raise: that raises itself comes to an end", given: given(declares(entity("e", onRaise("r", Anything(), Anything(), Anything(), withFail(ActionSpec{Name: "r", Raise: &Raise{}}, KeepOnFail, logs("enough")))))),
			when: when(raising("e", 1, 1, 1)), then: then("log enough")},
		{name: "enable and disable: another part of the tree", given: given(declares(upon(ActionSpec{Name: "d", Disable: &Switch{Path: Path{Entity: "f"}}})), declares(entity("f", anyDeath)), asks(root, attaching("f", 43)), attach), when: when(dies("f"))},
		{name: "an action does exactly one thing", when: when(refused(root, declaring(upon(ActionSpec{Name: "a"})), ErrBadSpec, "0 things"), refused(root, declaring(upon(ActionSpec{Name: "a", Log: &Log{}, Healthy: &Healthy{}})), ErrBadSpec, "2 things"))},
		{name: "ham_action_remove", given: given(declares(upon(logs("a"), logs("b")))), when: when(asks(root, removing("e/c/a")), attach), then: then("watch e 42", "log b")},
	})
}

// Rules of sections 2.5 and 2.6: flags of actions, and fail lists.
func TestRulesOfActionFlags(t *testing.T) {
	t.Parallel()
	attach := asks(root, attaching("e", 42))
	runRules(t, []rule{
		{name: "HREARMAFTERRESTART of an action: off in death conditions, on in all others (text of October 2024)",
			given: given(running(entity("e", on(OnDeath, RearmCondition, restarts(), logs("a"), flagged(logs("b"), RearmAction)), on(OnDetach, RearmCondition, logs("c"), flagged(logs("d"), OneShot)))), dies("e")),
			when:  when(born("e")), then: then("log a", "log b"), holds: tree("e", "death: b", "detach: c")},
		{name: "HREARMAFTERRESTART: a restart that is not re-armed happens once",
			given: given(running(entity("e", on(OnDeath, RearmCondition, restarts()))), dies("e"), born("e")), when: when(dies("e"), sleeps(time.Minute)), holds: all(is("e", Idle), tree("e"))},
		{name: "HREARMAFTERRESTART and OneShot contradict each other", when: when(refused(root, declaring(upon(flagged(logged, RearmAction|OneShot))), ErrBadSpec, "contradict"))},
		{name: "HACTIONDONOW: run at its declaration too, once", when: when(declares(upon(flagged(runs("x"), DoNow))), succeeds("run e/c/x"), declares(upon(flagged(runs("x"), DoNow))), attach), then: then("run e/c/x", "watch e 42", "run e/c/x")},
		{name: "HACTIONBREAKONFAIL: the rest of the list is skipped", given: given(declares(upon(withFail(runs("x"), BreakOnFail, logs("failed")), logged)), attach), when: when(fails("run e/c/x")), then: then("log failed")},
		{name: "HACTIONBREAKONFAIL: nothing is skipped when it succeeds", given: given(declares(upon(flagged(runs("x"), BreakOnFail), logged)), attach), when: when(succeeds("run e/c/x")), then: then("log logged")},
		{name: "HACTIONBREAKONFAIL before a restart: it does not come to it", given: given(running(entity("e", on(OnDeath, RearmCondition, flagged(runs("x"), BreakOnFail|KeepOnFail|RearmAction), flagged(restarts(), RearmAction)))), dies("e")),
			when: when(fails("run e/death/x")), holds: is("e", Failed)},
		{name: "HACTIONKEEPONFAIL: without it an action that failed is removed", given: given(declares(upon(runs("x"), logged)), attach), when: when(fails("run e/c/x")), then: then("log logged"), holds: tree("e", "c: logged")},
		{name: "HACTIONKEEPONFAIL: with it it is kept", given: given(declares(upon(flagged(runs("x"), KeepOnFail), logged)), attach), when: when(fails("run e/c/x")), then: then("log logged"), holds: tree("e", "c: x logged")},
		{name: "HACTIONKEEPONFAIL: the condition goes with its last action that failed", given: given(declares(upon(runs("x"))), attach), when: when(fails("run e/c/x")), holds: tree("e")},
		{name: "ham_action_fail_execute, _waitfor, _log, …: run in their order, whether they fail or not",
			given: given(declares(upon(withFail(runs("x"), 0, runs("f1"), waits("f2"), logs("f3")), logged)), attach),
			when:  when(fails("run e/c/x"), fails("run e/c/f1"), fails("await e/c/f2")), then: then("run e/c/f1", "await e/c/f2", "log f3", "log logged")},
		{name: "fail lists: neither restart nor heartbeat-healthy", when: when(refused(root, declaring(upon(withFail(runs("x"), 0, restarts()))), ErrBadSpec, "restart nor healthy"),
			refused(root, declaring(upon(withFail(runs("x"), 0, ActionSpec{Name: "h", Healthy: &Healthy{}}))), ErrBadSpec, "restart nor healthy"))},
		{name: "fail lists: no flags, and no fail list of their own", when: when(refused(root, declaring(upon(withFail(runs("x"), 0, flagged(logged, BreakOnFail)))), ErrBadSpec, "flags"),
			refused(root, declaring(upon(withFail(runs("x"), 0, withFail(runs("y"), 0, logged)))), ErrBadSpec, "no fail list"))},
		{name: "ham_action_fail_*: added, replaced and removed by name", given: given(declares(upon(runs("x")))),
			when: when(asks(root, failing("e/c/x", logs("f"))), asks(root, failing("e/c/x", logs("g"))), asks(root, failing("e/c/x", ActionSpec{Name: "f", Log: &Log{Text: "new"}})),
				asks(root, Request{Remove: &Remove{Path: handle("e/c/x"), Fail: "g"}}), refused(root, Request{Remove: &Remove{Path: handle("e/c/x"), Fail: "g"}}, ErrNotFound, "fail action"), attach, fails("run e/c/x")),
			then: then("watch e 42", "run e/c/x", "log new")},
		{name: "an action list in flight goes on as it was when its condition fired", given: given(declares(upon(waits("w"), logs("a"))), attach),
			when: when(asks(root, removing("e/c/a")), asks(root, declaringAction("e/c", logs("b"))), succeeds("await e/c/w")), then: then("log a"), holds: tree("e", "c: w b")},
		{name: "an action list goes on when its entity is gone", given: given(declares(EntitySpec{Name: "e", Conditions: []ConditionSpec{on(OnDeath, 0, waits("w"), logged)}}), attach, dies("e")),
			when: when(succeeds("await e/death/w")), then: then("log logged"), holds: gone("e")},
	})
}

func failing(path string, a ActionSpec) Request {
	return Request{Declare: &Declare{Path: handle(path), Fail: &a}}
}

// getsACommand has an entity that is declared already given a command, and started.
func getsACommand() step {
	return asks(root, Request{Attach: &Attach{Entity: "e", Settings: &Settings{Command: Command{Argv: []string{"/bin/e"}}}}})
}

// says puts a mark into the transcript.
func says(text string) step { return func(w *world) { w.said = append(w.said, text) } }
