package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// after returns an entity that depends on others.
func after(name string, restart bool, others ...string) EntitySpec {
	e := entity(name, lives())
	e.Settings = &Settings{Command: Command{Argv: []string{"/bin/" + name}}, Start: true}
	for _, o := range others {
		e.Settings.After = append(e.Settings.After, Dependency{Entity: o, Restart: restart})
	}
	return e
}

// readyBy returns an entity that is started, and ready when r says so.
func readyBy(name string, r Readiness) EntitySpec {
	e := after(name, false)
	e.Settings.Ready = r
	return e
}

func ready(name string) step { return notifies(Notified{Entity: name, Ready: true}) }

func isReady(name string, want bool) step {
	return func(w *world) { require.Equal(w.t, want, w.m.look(name).Up(), "%s is ready", name) }
}

// Dependencies and readiness.
func TestRulesOfDependencies(t *testing.T) {
	t.Parallel()
	notify := Readiness{Notify: true}
	one := int64(1)
	down := controlling("db", StopProcess)
	runRules(t, []rule{
		{name: "start order: who depends on another is started when that one is ready", when: when(declares(after("web", false, "db")), declares(readyBy("db", notify)), born("db"), says("1"), ready("db"), born("web")),
			then: then("spawn db", "1", "spawn web"), holds: is("web", Running)},
		{name: "start order: who is not there yet is waited for", when: when(declares(after("web", false, "db")), sleeps(time.Hour)), holds: is("web", Waiting)},
		{name: "readiness: as soon as it runs, if nothing is said", given: given(declares(after("db", false))), when: when(isReady("db", false), born("db"), isReady("db", true)), then: then()},
		{name: "readiness: READY=1", given: given(declares(readyBy("db", notify))), when: when(born("db"), isReady("db", false), ready("db"), isReady("db", true))},
		{name: "readiness: a heartbeat", given: given(declares(func() EntitySpec {
			e := readyBy("db", Readiness{Beat: true})
			e.Settings.Heartbeat = Heartbeat{Period: time.Second, Low: 2}
			return e
		}())), when: when(born("db"), isReady("db", false), beats("db"), isReady("db", true)), then: then("watchbeats db")},
		{name: "readiness: a state, until it is left", given: given(declares(readyBy("db", Readiness{State: &one}))), when: when(born("db"), reporting("db", 0), isReady("db", false), reporting("db", 1), isReady("db", true), reporting("db", 2), isReady("db", false))},
		{name: "readiness: who is to end and is declared without a probe is asked no more, by HAM's guardian neither", given: given(declares(readyBy("db", Readiness{Probe: &WaitFor{TCP: "127.0.0.1:1", Timeout: time.Second}})), born("db"), asks(root, controlling("db", StopProcess))),
			when: when(declares(readyBy("db", Readiness{})), takesOver()), then: then("cancel", "watch db 101", "end db again")},
		{name: "readiness: a probe, asked again until it succeeds", given: given(declares(readyBy("db", Readiness{Probe: &WaitFor{TCP: "127.0.0.1:1", Timeout: time.Second}}))),
			when: when(born("db"), fails("await db"), isReady("db", false), sleeps(time.Second), succeeds("await db"), isReady("db", true)), then: then("await db", "await db")},
		{name: "readiness: not in time is a death", given: given(declares(readyBy("db", Readiness{Notify: true, Timeout: 5 * time.Second})), born("db")),
			when: when(sleeps(5*time.Second), dies("db")), then: then("end db", "spawn db"), holds: happened("db died")},
		{name: "readiness: a watcher that was late gives the time again", given: given(declares(readyBy("db", Readiness{Notify: true, Timeout: 5 * time.Second})), born("db")),
			when: when(wakesLate(time.Second), says("1"), sleeps(2*time.Second)), then: then("1", "end db")},
		{name: "readiness: while it reloads it is not", given: given(declares(readyBy("db", notify)), born("db"), ready("db")), when: when(notifies(Notified{Entity: "db", Reloading: true}), isReady("db", false), ready("db"), isReady("db", true))},
		{name: "a dependent waits through restarts, however many", given: given(declares(readyBy("db", notify)), declares(after("web", false, "db")), born("db"), dies("db"), born("db"), dies("db"), sleeps(time.Second), born("db")),
			when: when(isReady("db", false), ready("db")), then: then("spawn web")},
		{name: "a dependent that is restarted while its dependency is away waits, and holds up nobody", given: given(declares(readyBy("db", notify)), declares(after("web", false, "db")), born("db"), ready("db"), born("web"), dies("db")),
			when: when(dies("web"), born("db"), says("1"), ready("db"), born("web")), then: then("1", "spawn web"), holds: is("web", Running)},
		{name: "a dependent is not restarted with its dependency unless it wants to be", given: given(declares(after("db", false)), declares(after("web", false, "db")), born("db"), born("web")), when: when(dies("db"), born("db")), then: then("spawn db"), holds: is("web", Running)},
		{name: "a dependent that wants to be is, and once", given: given(declares(readyBy("db", notify)), declares(after("web", true, "db")), born("db"), ready("db"), born("web")),
			when: when(dies("db"), dies("web"), born("db"), says("1"), ready("db"), born("web"), sleeps(time.Minute)), then: then("end web", "spawn db", "1", "spawn web"), holds: is("web", Running)},
		{name: "a dependent that is being started when its dependency dies is ended, and started again", given: given(declares(after("db", false)), declares(after("web", true, "db")), born("db")),
			when: when(dies("db"), born("web"), dies("web"), born("db"), born("web")), then: then("spawn db", "end web", "spawn web"), holds: is("web", Running)},
		{name: "dependents of dependents: ended from the far end, started from the near one", given: given(declares(after("a", false)), declares(after("b", true, "a")), declares(after("c", true, "b")), born("a"), born("b"), born("c")),
			when: when(asks(root, controlling("a", RestartProcess)), dies("c"), dies("b"), dies("a"), born("a"), born("b"), born("c")), then: then("end c", "end b", "end a", "spawn a", "spawn b", "spawn c")},
		{name: "stop order: dependents first", given: given(declares(after("db", false)), declares(after("web", false, "db")), born("db"), born("web")), when: when(asks(root, down), dies("web"), dies("db")), then: then("end web", "end db"),
			holds: all(is("db", Stopped), is("web", Stopped))},
		{name: "stop order: of everything", given: given(declares(after("web", false, "db")), declares(after("db", false)), born("db"), born("web")), when: when(asks(root, Request{Control: &Control{Verb: StopAll}}), dies("web"), dies("db")),
			then: then("end web", "end db", "shutdown")},
		{name: "circles are refused", given: given(declares(after("a", false, "b")), declares(after("b", false, "c"))),
			when: when(refused(root, declaring(after("c", false, "a")), ErrCycle, `"c"`), refused(root, declaring(after("d", false, "d")), ErrCycle, `"d"`))},
		{name: "a dependency that is dropped from the declaration is waited for no longer", given: given(declares(after("web", false, "db"))), when: when(declares(after("web", false)), born("web")), then: then("spawn web")},
	})
}

func tells(name string, p Pair) step {
	return func(w *world) { w.step(Event{Pair: &PairFacts{Entity: name, Pair: p}}) }
}

// duo is a pair of two members, the primary first.
func duo(primary, backup int, takeovers uint64) Pair {
	return Pair{Instance: "i", Epoch: uint32(1 + takeovers), Takeovers: takeovers, Members: []PairMember{
		{PID: primary, Start: uint64(primary), Role: "primary", Synchronised: true}, {PID: backup, Start: uint64(backup), Role: "backup", Synchronised: true}}}
}

// Whole pairs.
func TestRulesOfPairs(t *testing.T) {
	t.Parallel()
	bank := func(start bool) EntitySpec {
		e := entity("bank", lives(), on(OnTakeover, RearmCondition, logs("takeover")), on(OnDetach, RearmCondition, logs("detach")))
		e.Settings = &Settings{Command: Command{Argv: []string{"/bin/bank"}}, Start: start, Pair: "bank"}
		return e
	}
	none := Pair{Instance: "i", Gone: true}
	runRules(t, []rule{
		{name: "a pair that runs already is found by its registry page", when: when(declares(bank(false)), tells("bank", duo(10, 11, 0))), then: then("watchpair bank bank"),
			holds: all(is("bank", Running), func(w *world) { require.Len(t, w.m.look("bank").Pair.Members, 2) })},
		{name: "the death of one member is the business of the pair", given: given(declares(bank(true)), born("bank"), tells("bank", duo(101, 11, 0))), when: when(dies("bank"), sleeps(time.Minute)), holds: is("bank", Running)},
		{name: "a takeover fires its condition, and the entity's process is the new primary", given: given(declares(bank(false)), tells("bank", duo(10, 11, 0))), when: when(tells("bank", duo(11, 12, 1))), then: then("log takeover"),
			holds: func(w *world) { require.Equal(t, 11, w.m.look("bank").Process.PID) }},
		{name: "a switch does not", given: given(declares(bank(false)), tells("bank", duo(10, 11, 0))), when: when(func(w *world) {
			p := duo(11, 10, 0)
			p.Switches = 1
			tells("bank", p)(w)
		}), holds: happened("bank switch")},
		{name: "both gone: that is a death, and the pair is started again", given: given(declares(bank(true)), born("bank"), tells("bank", duo(101, 11, 0))), when: when(tells("bank", none), born("bank"), tells("bank", duo(102, 12, 0))), then: then("spawn bank"), holds: is("bank", Running)},
		{name: "both gone is no news before members were seen", given: given(declares(bank(true)), born("bank")), when: when(tells("bank", none)), holds: is("bank", Running)},
		{name: "a pair that dies before it is founded is dead all the same", given: given(declares(bank(true)), born("bank")), when: when(dies("bank"), born("bank")), then: then("spawn bank")},
		{name: "a pair that was stopped on purpose is stopped", given: given(declares(bank(false)), tells("bank", duo(10, 11, 0))), when: when(tells("bank", Pair{Instance: "i", Gone: true, Stopped: true}), sleeps(time.Minute)), holds: is("bank", Stopped)},
		{name: "to stop a pair takes both members, whoever is primary by then", given: given(declares(bank(false)), tells("bank", duo(10, 11, 0))),
			when: when(asks(root, controlling("bank", StopProcess)), tells("bank", duo(11, 12, 1)), succeeds("end bank"), tells("bank", duo(12, 13, 2)), tells("bank", none)), then: then("end bank", "cancel", "end bank", "log takeover", "end bank", "log takeover"), holds: is("bank", Stopped)},
		{name: "ham_stop waits for both members", given: given(declares(bank(true)), born("bank"), tells("bank", duo(101, 11, 0))),
			when: when(asks(root, Request{Control: &Control{Verb: StopAll}}), tells("bank", duo(11, 12, 1)), succeeds("end bank"), says("still there"), tells("bank", none)), then: then("end bank", "cancel", "end bank", "log takeover", "still there", "shutdown"), holds: is("bank", Stopped)},
		{name: "facts of who is no pair are ignored", given: given(declares(entity("e"))), when: when(tells("e", duo(1, 2, 0)), tells("nobody", duo(1, 2, 0))), holds: is("e", Idle)},
		{name: "a name given up is looked at no more", given: given(declares(bank(false)), tells("bank", duo(10, 11, 0))), when: when(asks(root, detaching("bank"))), then: then("unwatch bank", "log detach"), holds: is("bank", Idle)},
	})
}
