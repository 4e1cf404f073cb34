package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A list with an action of every kind that can be under way, and how the world answers each: event by event.
func wholeList() (EntitySpec, []step) {
	e := entity("e", on(OnDeath, RearmCondition,
		flagged(restarts(), RearmAction|KeepOnFail),
		ActionSpec{Name: "pause", WaitFor: &WaitFor{Timeout: time.Second}},
		waits("port"),
		runs("warm"),
		notes("tell", Notify{HTTP: "http://localhost/x"}),
		flagged(ActionSpec{Name: "hup", Signal: &Signal{Signal: 1}}, KeepOnFail),
		withFail(runs("fails"), KeepOnFail, runs("remedy"), logs("sorry")),
		ActionSpec{Name: "dump", Dump: &Execute{Command: Command{Argv: []string{"gcore"}}}},
		ActionSpec{Name: "kill", Kill: &Kill{}},
		logs("end"),
	))
	return e, []step{
		dies("e"), born("e"), sleeps(time.Second), succeeds("await e/death/port"), succeeds("run e/death/warm"), succeeds("tell e/death/tell"),
		succeeds("signal e/death/hup"), fails("run e/death/fails"), succeeds("run e/death/remedy"), succeeds("run e/death/dump"), succeeds("end e"),
	}
}

// What is done in the whole list when nothing goes wrong, in order.
var wholeTranscript = []string{
	"spawn e", "await e/death/port", "run e/death/warm", "tell e/death/tell", "signal e/death/hup 1 to 102", "run e/death/fails", "run e/death/remedy",
	"log sorry", "run e/death/dump", "end e", "log end",
}

func TestAListWithoutTakeover(t *testing.T) {
	t.Parallel()
	e, steps := wholeList()
	runRules(t, []rule{{name: "every action is done once, in order", given: given(running(e)), when: steps, then: wholeTranscript}})
}

// At whatever point of the list HAM dies, its guardian goes on with the action that was under way: it is done again if it is delivered
// at least once, and counts as failed if at most once; and nothing else is left out or done twice.
func TestATakeoverAtAnyPointOfAList(t *testing.T) {
	t.Parallel()
	_, steps := wholeList()
	for cut := range len(steps) + 1 {
		t.Run(fmt.Sprint("after event ", cut), func(t *testing.T) {
			t.Parallel()
			e, steps := wholeList()
			w := newWorld(t)
			w.run(e)
			w.heard()
			for _, s := range steps[:cut] {
				s(w)
			}
			before := w.heard()
			w.takeOver()
			again := slices.DeleteFunc(w.heard(), func(s string) bool { return strings.HasPrefix(s, "watch") })
			expected, lost := wholeTranscript, ""
			if len(before) > 0 {
				last := before[len(before)-1]
				switch kind := strings.Fields(last)[0]; {
				case last == "log end" || cut == 2: // nothing is under way, or a pause that HAM keeps itself
					require.Empty(t, again)
				case kind == "signal" || last == "run e/death/dump": // at most once
					lost = last
					require.NotContains(t, again, last+" again")
				default:
					require.Equal(t, []string{last + " again"}, again, "what was under way is done again")
					again = nil
				}
			} else {
				require.Empty(t, again)
			}
			rest := steps[cut:]
			if lost != "" {
				rest = rest[1:] // its outcome will not come
			}
			for _, s := range rest {
				s(w)
			}
			require.Equal(t, expected, slices.Concat(before, again, w.heard()), "every action is done, in order, and only what was under way a second time")
			require.Empty(t, slices.Collect(w.store.Jobs()), "the list has come to its end")
			if lost != "" {
				w.has(strings.Fields(lost)[1] + " action failed")
			}
		})
	}
}

func TestADeliveryCanBeChosen(t *testing.T) {
	t.Parallel()
	once := func(a ActionSpec, d Delivery) ActionSpec { a.Delivery = d; return a }
	attach := asks(root, attaching("e", 42))
	runRules(t, []rule{
		{name: "a command at most once: after a takeover it counts as failed, is not removed, and the list goes on",
			given: given(declares(upon(once(withFail(runs("x"), 0, logs("failed")), AtMostOnce), logged)), attach), when: when(takesOver()),
			then: then("watch e 42", "log failed", "log logged"), holds: all(tree("e", "c: x logged"), happened("e/c/x action failed"))},
		{name: "a signal at least once", given: given(declares(upon(once(ActionSpec{Name: "s", Signal: &Signal{Signal: 1}}, AtLeastOnce))), attach), when: when(takesOver()),
			then: then("watch e 42", "signal e/c/s 1 to 42 again")},
		{name: "at most once and BREAKONFAIL: the list ends there", given: given(declares(upon(once(flagged(runs("x"), BreakOnFail), AtMostOnce), logged)), attach), when: when(takesOver()), then: then("watch e 42")},
		{name: "a restart is never given up", when: when(refused(root, declaring(entity("e", on(OnDeath, 0, once(restarts(), AtMostOnce)))), ErrBadSpec, "given up"))},
		{name: "an outcome that comes from before the takeover is taken once", given: given(declares(upon(waits("w"), logged)), attach, takesOver()),
			when: when(succeeds("await e/c/w"), succeeds("await e/c/w")), then: then("log logged")},
		{name: "a wait has what is left of its time", given: given(declares(upon(waits("w"))), attach, sleeps(3*time.Second)), when: when(takesOver()), then: then("watch e 42", "await e/c/w again"),
			holds: func(w *world) { require.Equal(t, 2*time.Second, w.last["await e/c/w"].(Await).For.Timeout) }},
	})
	require.Equal(t, AtMostOnce, (&ActionSpec{Signal: &Signal{}}).Delivers())
	require.Equal(t, AtLeastOnce, (&ActionSpec{Execute: &Execute{}}).Delivers())
}

func TestATakeoverSetsTheHandsToWork(t *testing.T) {
	t.Parallel()
	beating := entity("e", lives())
	beating.Settings = &Settings{Heartbeat: Heartbeat{Period: time.Second, High: 2}, Sample: time.Second, Ready: Readiness{Probe: &WaitFor{Path: "/x", Timeout: time.Second}}}
	runRules(t, []rule{
		{name: "who runs is watched, looked at and asked again", given: given(running(beating)), when: when(takesOver()), then: then("watch e 101", "watchbeats e", "sample e 1s", "await e again")},
		{name: "who was being started is looked for", given: given(declares(withLine("e")), asks(root, controlling("e", StartProcess))), when: when(takesOver(), born("e")), then: then("spawn e again"), holds: is("e", Running)},
		{name: "who was being ended is ended", given: given(running(entity("e")), asks(root, controlling("e", StopProcess))), when: when(takesOver(), dies("e")), then: then("watch e 101", "end e again"), holds: is("e", Stopped)},
		{name: "who waited for its time goes on waiting", given: given(running(limited2("e")), dies("e"), born("e"), dies("e")), when: when(takesOver(), says("1"), sleeps(time.Second), born("e")), then: then("1", "spawn e"), holds: is("e", Running)},
		{name: "who was to be started while there was no HAM is started now", given: given(running(limited2("e")), dies("e"), born("e"), dies("e")), when: when(func(w *world) { w.now += time.Minute }, takesOver(), sleeps(time.Millisecond)), then: then("spawn e")},
		{name: "who attached itself before its start was told of is the one that is found", given: given(running(entity("e", lives(logged))), dies("e"), attachesItself("e", 102)), when: when(takesOver(), born("e")), then: then("spawn e again", "log logged"),
			holds: func(w *world) { require.Equal(t, SelfAttached, w.m.look("e").Kind) }},
		{name: "a stop of everything is brought to its end", given: given(running(entity("e")), asks(root, Request{Control: &Control{Verb: StopAll}})), when: when(takesOver(), dies("e")), then: then("watch e 101", "end e again", "shutdown")},
		{name: "failures of HAM and of its guardian are counted apart", when: when(takesOver(), takesOver(), func(w *world) {
			w.step(Event{Self: &SelfFacts{PID: 8, GuardianPID: 9, GuardianDied: true}})
		}), holds: func(w *world) {
			r := w.store.Root()
			require.Equal(t, []any{uint64(2), uint64(1), 8, 9}, []any{r.Failures, r.GuardianFailures, r.PID, r.GuardianPID})
		}},
	})
}

func attachesItself(name string, pid int) step {
	p := Peer{Admin: true, PID: pid, Client: uint64(pid)}
	return asks(p, attachingSelf(name, p, nil))
}
