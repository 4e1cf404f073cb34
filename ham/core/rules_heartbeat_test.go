package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rules of section 2.8.
func TestRulesOfHeartbeats(t *testing.T) {
	t.Parallel()
	marks := []ConditionSpec{on(OnHeartbeatMissedLow, RearmCondition, logs("low")), on(OnHeartbeatMissedHigh, RearmCondition, logs("high")), on(OnHeartbeatRecovered, RearmCondition, logs("recovered"))}
	with := func(h Heartbeat, more ...ConditionSpec) EntitySpec {
		e := entity("e", append(more, marks...)...)
		e.Settings = &Settings{Heartbeat: h}
		return e
	}
	second := Heartbeat{Period: time.Second, Low: 2, High: 4}
	refusedHeartbeat := func(h Heartbeat, text string) step { return refused(root, declaring(with(h)), ErrBadSpec, text) }
	runRules(t, []rule{
		{name: "a beat is missed when it is half a period overdue; low and high count the same beats", given: given(running(with(second))),
			when: when(sleeps(2499*time.Millisecond), says("1"), sleeps(time.Millisecond), says("2"), sleeps(1999*time.Millisecond), says("3"), sleeps(time.Millisecond)), then: then("1", "log low", "2", "3", "log high")},
		{name: "beats in time: nothing is missed", given: given(running(with(second))), when: when(sleeps(2*time.Second), beats("e"), sleeps(2*time.Second), beats("e", "e"), sleeps(2*time.Second)), holds: pulse("e", Beating)},
		{name: "the same marks: one condition each would be twice the same; the high one it is", given: given(running(with(Heartbeat{Period: time.Second, Low: 3, High: 3}))), when: when(sleeps(4 * time.Second)), then: then("log high")},
		{name: "a mark of 0 is off: no high one", given: given(running(with(Heartbeat{Period: time.Second, Low: 1}))), when: when(sleeps(time.Minute)), then: then("log low")},
		{name: "a mark of 0 is off: no low one", given: given(running(with(Heartbeat{Period: time.Second, High: 1}))), when: when(sleeps(time.Minute)), then: then("log high")},
		{name: "no period: no heartbeat", given: given(running(with(Heartbeat{}))), when: when(sleeps(time.Minute)), holds: pulse("e", Unwatched)},
		{name: "after the high mark nothing is watched until a beat comes", given: given(running(with(second)), sleeps(5*time.Second)),
			when: when(sleeps(time.Minute), beats("e"), sleeps(3*time.Second)), then: then("log recovered", "log low")},
		{name: "after the low mark a beat makes it healthy too", given: given(running(with(second)), sleeps(3*time.Second)), when: when(beats("e"), sleeps(2*time.Second)), then: then("log recovered"), holds: pulse("e", Beating)},
		{name: "ham_action_heartbeat_healthy: it is watched again, though no beat came",
			given: given(running(with(second, named("h", on(OnHeartbeatMissedHigh, RearmCondition, ActionSpec{Name: "h", Healthy: &Healthy{}}))))),
			when:  when(sleeps(9500 * time.Millisecond)), then: then("log low", "log high", "log low", "log high"), holds: func(w *world) { require.Zero(t, w.count("e heartbeat recovered")) }},
		{name: "after a start nothing is missed for the grace", given: given(running(with(Heartbeat{Period: time.Second, Low: 2, Grace: 10 * time.Second}))),
			when: when(sleeps(5*time.Second), beats("e"), sleeps(7*time.Second), says("1"), sleeps(time.Second)), then: then("1", "log low")},
		{name: "a restart begins anew", given: given(running(with(second, lives())), sleeps(5*time.Second)), when: when(dies("e"), born("e"), sleeps(2*time.Second), says("1"), sleeps(time.Second)),
			then: then("unwatchbeats e", "spawn e", "watchbeats e", "1", "log low")},
		{name: "who has no process misses nothing", given: given(running(with(second)), dies("e")), when: when(sleeps(time.Minute), beats("e")), holds: pulse("e", Unwatched)},
		{name: "a watcher that was late itself holds that time against nobody", given: given(running(with(second))),
			when: when(wakesLate(time.Minute), says("1"), sleeps(100*time.Millisecond), beats("e"), sleeps(2*time.Second), says("2"), sleeps(time.Second)), then: then("1", "2", "log low"), holds: happened("watcher late")},
		{name: "a watcher that was late: who beats no more is found all the same", given: given(running(with(second))), when: when(wakesLate(time.Minute), says("1"), sleeps(5*time.Second)), then: then("1", "log low", "log high")},
		{name: "a beat counts from when it was seen, not from when it was told", given: given(running(with(second)), sleeps(1500*time.Millisecond)),
			when: when(beatAgo("e", 500*time.Millisecond), sleeps(1999*time.Millisecond), says("1"), sleeps(time.Millisecond)), then: then("1", "log low")},
		{name: "a watcher that was late: what it saw before is no older for that", given: given(running(with(second)), sleeps(2*time.Second)),
			when: when(beatLate("e", time.Minute), sleeps(1999*time.Millisecond), says("1"), sleeps(time.Millisecond)), then: then("1", "log low")},
		{name: "HAM's takeover: everybody has the time of one more start", given: given(running(with(second)), sleeps(2*time.Second)), when: when(takesOver(), sleeps(2*time.Second), says("1"), sleeps(time.Second)),
			then: then("watch e 101", "watchbeats e", "1", "log low")},
		{name: "HAM's takeover: what was missed stays missed, and is not told twice", given: given(running(with(second)), sleeps(5*time.Second), takesOver()), when: when(sleeps(time.Minute), beats("e")), then: then("log recovered")},
		{name: "ham_heartbeat: as a message; refused, not ignored, where none was promised",
			given: given(asks(ada, attachingSelf("e", ada, &second)), asks(bob, attachingSelf("f", bob, nil))),
			when:  when(asks(ada, Request{Beat: &Beat{Entity: handle("e")}}), refused(bob, Request{Beat: &Beat{Entity: handle("f")}}, ErrNotRunning, "promised no heartbeats"), refused(bob, Request{Beat: &Beat{Entity: handle("e")}}, ErrNotPermitted, "e"))},
		{name: "period at least 10 ms, marks in order, nothing negative", when: when(refusedHeartbeat(Heartbeat{Period: 9 * time.Millisecond}, "at least 10ms"), refusedHeartbeat(Heartbeat{Period: time.Second, Low: 4, High: 2}, "above the high mark"),
			refusedHeartbeat(Heartbeat{Period: time.Second, Low: -1}, "negative"), refusedHeartbeat(Heartbeat{Low: 1}, "without a period"))},
		{name: "sd_notify: WATCHDOG=1 is a beat", given: given(running(with(second)), sleeps(2*time.Second)), when: when(notifies(Notified{Entity: "e", Watchdog: true}), sleeps(2*time.Second))},
		{name: "sd_notify: WATCHDOG=trigger is the high mark at once", given: given(running(with(second))), when: when(notifies(Notified{Entity: "e", Trigger: true})), then: then("log high")},
		{name: "sd_notify: RELOADING=1: nothing is missed, until READY=1", given: given(running(with(second))), when: when(notifies(Notified{Entity: "e", Reloading: true}), sleeps(time.Minute), says("1"), notifies(Notified{Entity: "e", Ready: true}), sleeps(3*time.Second)), then: then("1", "log low")},
		{name: "sd_notify: STOPPING=1: nothing is missed any more, its end is a death still", given: given(running(with(second, anyDeath))), when: when(notifies(Notified{Entity: "e", Stopping: true}), sleeps(time.Minute), dies("e")), then: then("unwatchbeats e", "log logged")},
		{name: "sd_notify: EXTEND_TIMEOUT_USEC", given: given(running(with(second))), when: when(notifies(Notified{Entity: "e", Extend: 10 * time.Second}), sleeps(12*time.Second), says("1"), sleeps(time.Second)), then: then("1", "log low")},
		{name: "sd_notify: STATUS and FDSTORE are kept, MAINPID is watched", given: given(running(with(Heartbeat{}))),
			when: when(notifies(Notified{Entity: "e", HasStatus: true, Status: "busy", HasFDs: true, FDs: []string{"a"}, MainPID: 77, MainStart: 77}), dies("e")), then: then("watch e 77"),
			holds: func(w *world) { require.Equal(t, []string{"a"}, w.m.look("e").FDs, "descriptors outlive the process") }},
		{name: "sd_notify: who names another process in MAINPID when he is to end has that one ended", given: given(running(with(Heartbeat{})), asks(root, controlling("e", StopProcess))),
			when: when(notifies(Notified{Entity: "e", MainPID: 77, MainStart: 77}), sleeps(time.Minute), dies("e")), then: then("cancel", "watch e 77", "end e"), holds: is("e", Stopped)},
		{name: "hung, so killed and restarted: in one list and one condition each", given: given(running(with(second, lives(), named("hung", on(OnHeartbeatMissedHigh, RearmCondition, ActionSpec{Name: "kill", Kill: &Kill{}}))))),
			when: when(sleeps(5*time.Second), dies("e"), succeeds("end e"), born("e")), then: then("log low", "end e", "unwatchbeats e", "log high", "spawn e", "watchbeats e")},
	})
}

// beatAgo tells of a beat that was seen a while ago.
func beatAgo(name string, ago time.Duration) step {
	return func(w *world) {
		w.step(Event{Beats: &Beats{Entities: []string{name}, Seen: []time.Duration{w.now - ago}}})
	}
}

// beatLate tells of a beat that was seen now, when much time has passed in which nothing ran.
func beatLate(name string, by time.Duration) step {
	return func(w *world) {
		seen := w.now
		w.now = w.wake + by
		w.step(Event{Beats: &Beats{Entities: []string{name}, Seen: []time.Duration{seen}}})
	}
}

// wakesLate lets time pass without the tick that was asked for, until long after.
func wakesLate(by time.Duration) step {
	return func(w *world) {
		w.now = w.wake + by
		w.step(Event{Tick: &Tick{}})
	}
}

func TestTheLastBeatIsKnownAndNotInTheRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := entity("e")
	e.Settings = &Settings{Heartbeat: Heartbeat{Period: time.Second, Low: 2}}
	w.run(e)
	before := snapshot(w.store)
	w.sleep(time.Second)
	beats("e")(w)
	require.EqualValues(t, w.now, w.m.LastBeat("e"))
	require.Equal(t, before, snapshot(w.store), "a beat that changes nothing is shipped to nobody")
	require.Zero(t, w.m.LastBeat("unknown"))
}
