package core

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	logged   = logs("logged")
	anyDeath = on(OnDeath, RearmCondition, logged)
	onAttach = on(OnAttach, RearmCondition, logged)
	onDetach = on(OnDetach, RearmCondition, logged)
	dropped  = EntitySpec{Name: "e", Conditions: []ConditionSpec{anyDeath}}
	forAll   = EntitySpec{Name: Global, Conditions: []ConditionSpec{anyDeath}}
	withLine = func(name string) EntitySpec {
		return EntitySpec{Name: name, Flags: KeepOnDeath, Settings: &Settings{Command: Command{Argv: []string{"/bin/" + name}}}}
	}
)

// Rules of section 2.2 and 2.3: entities and handles.
func TestRulesOfEntities(t *testing.T) {
	t.Parallel()
	runRules(t, []rule{
		{name: "ham_attach of a pid: it is watched, and not started",
			given: given(declares(withLine("e"))), when: when(asks(root, attaching("e", 42))),
			then: then("watch e 42"), holds: is("e", Running)},
		{name: "ham_attach without a pid: HAM starts the line, and watches what it starts",
			given: given(declares(withLine("e"))), when: when(asks(root, attaching("e", 0)), born("e")),
			then: then("spawn e"), holds: is("e", Running)},
		{name: "ham_attach without a pid and without a line is refused",
			when: when(refused(root, attaching("e", 0), ErrBadSpec, "neither a process nor a command")), holds: gone("e")},
		{name: "ham_attach of what is attached already: the same process is no error",
			given: given(asks(root, attaching("e", 42))), when: when(asks(root, attaching("e", 42))), holds: is("e", Running)},
		{name: "ham_attach of what is attached already: another process is refused",
			given: given(asks(root, attaching("e", 42))), when: when(refused(root, attaching("e", 43), ErrRunning, "process 42"))},
		{name: "ham_attach_self: only the process itself can",
			when: when(refused(ada, attachingSelf("e", bob, nil), ErrNotPermitted, "cannot attach 600 as itself"))},
		{name: "ham_attach_self: the kind is ATTACHEDSELF",
			when: when(asks(ada, attachingSelf("e", ada, nil))), then: then("watch e 500"),
			holds: func(w *world) { require.Equal(t, "ATTACHEDSELF", w.m.look("e").Kind.String()) }},
		{name: "ham_attach_self: any process may be one, and need not have been there before",
			when: when(asks(ada, attachingSelf("e", ada, &Heartbeat{Period: time.Second, High: 3}))), then: then("watch e 500", "watchbeats e")},
		{name: "ham_detach_self: its end is no death then",
			given: given(asks(ada, attachingSelf("e", ada, nil)), asks(root, declaringCondition("e", anyDeath))),
			when:  when(asks(ada, detaching("e"))), then: then("unwatch e"), holds: gone("e")},
		{name: "ham_detach is not for entities that attached themselves",
			given: given(asks(ada, attachingSelf("e", ada, nil))), when: when(refused(Peer{UID: 1000, PID: 501}, detaching("e"), ErrNotPermitted, "attached itself"))},
		{name: "ham_detach raises CONDDETACH, and leaves the process alone",
			given: given(declares(entity("e", onDetach)), asks(root, attaching("e", 42))), when: when(asks(root, detaching("e"))),
			then: then("unwatch e", "log logged"), holds: is("e", Idle)},
		{name: "ham_detach of what is not there: ENOENT",
			when: when(refused(root, detaching("e"), ErrNotFound, `entity "e"`))},
		{name: "ham_detach of what has no process is refused",
			given: given(declares(entity("e"))), when: when(refused(root, detaching("e"), ErrNotRunning, "e"))},
		{name: "ham_detach can stop the process first",
			given: given(running(entity("e", onDetach, anyDeath))),
			when:  when(asks(root, Request{Detach: &Detach{Path: handle("e"), Stop: true}}), dies("e")),
			then:  then("end e", "log logged"), holds: is("e", Idle)},
		{name: "ham_entity: an attachment binds to the placeholder and fires CONDATTACH",
			given: given(declares(entity("e", onAttach))), when: when(asks(root, attaching("e", 42))), then: then("watch e 42", "log logged")},
		{name: "ham_entity: a placeholder is not watched",
			when: when(declares(entity("e", anyDeath))), holds: is("e", Idle)},
		{name: "HENTITYKEEPONDEATH: without it the entity is dropped with all below it",
			given: given(declares(dropped), asks(root, attaching("e", 42))), when: when(dies("e")), then: then("log logged"), holds: gone("e")},
		{name: "HENTITYKEEPONDEATH: with it the entity is a placeholder again",
			given: given(declares(entity("e", anyDeath)), asks(root, attaching("e", 42))), when: when(dies("e")), then: then("log logged"),
			holds: all(is("e", Idle), tree("e", "death: logged"))},
		{name: "the death of a process is seen however it ends: status 0",
			given: given(declares(entity("e", anyDeath)), asks(root, attaching("e", 42))), when: when(ends("e", Exit{Known: true})), then: then("log logged")},
		{name: "the death of a process is seen however it ends: unknown",
			given: given(declares(entity("e", anyDeath)), asks(root, attaching("e", 42))), when: when(ends("e", Exit{})), then: then("log logged")},
		{name: "the death of another process under the name is no news",
			given: given(declares(entity("e", anyDeath)), asks(root, attaching("e", 42))),
			when:  when(func(w *world) { w.step(Event{Exited: &Exited{Entity: "e", PID: 42, Start: 41}}) }), holds: is("e", Running)},
		{name: "a self-attached entity is dead when its connection ends without a word",
			given: given(asks(ada, attachingSelf("e", ada, nil)), asks(root, declaringCondition("e", anyDeath))),
			when:  when(disconnects(ada), sleeps(2*time.Second)), then: then("unwatch e", "log logged"), holds: gone("e")},
		{name: "a self-attached entity that is to be restarted is ended before",
			given: given(running(entity("e", lives())), func(w *world) {
				pid := w.m.look("e").Process.PID
				self := Peer{PID: pid, Client: 9}
				w.must(w.ask(self, attachingSelf("e", self, nil)))
			}),
			when: when(disconnects(Peer{Client: 9}), sleeps(2*time.Second), dies("e")), then: then("end e", "spawn e")},
		{name: "a self-attached entity whose process follows its connection dies once, of what it died of",
			given: given(asks(ada, attachingSelf("e", ada, nil)), asks(root, declaringCondition("e", on(OnAbnormalDeath, 0, logged)))),
			when:  when(disconnects(ada), ends("e", Exit{Known: true, Signal: 11}), sleeps(2*time.Second)), then: then("log logged")},
		{name: "a process that attaches itself before its start was told of", given: given(running(entity("e", lives(logged))), dies("e")),
			when: when(attachesItself("e", 102), born("e")), then: then("log logged"), holds: func(w *world) { require.Equal(t, SelfAttached, w.m.look("e").Kind) }},
		{name: "a process that was brought up by the one that was started: it is the entity's", given: given(running(entity("e", lives(logged))), dies("e")),
			when: when(attachesItself("e", 200), born("e")), then: then("watch e 200", "log logged"), holds: func(w *world) { require.Equal(t, 200, w.m.look("e").Process.PID) }},
		{name: "a process that attaches itself while its restart waits: nothing more is started", given: given(running(limited2("e")), dies("e"), born("e"), dies("e")),
			when: when(attachesItself("e", 200), sleeps(time.Minute)), then: then("watch e 200"), holds: is("e", Running)},
		{name: "the global entity: it is always there, and its conditions fire for all",
			given: given(declares(forAll), asks(root, attaching("e", 42))), when: when(dies("e")), then: then("log logged")},
		{name: "the global entity cannot be removed, attached or reported for",
			when: when(refused(root, removing(Global), ErrBadSpec, "always there"), refused(root, attaching(Global, 42), ErrBadName, "stands for all"),
				refused(root, Request{State: &ReportState{Entity: Handle{}}}, ErrBadSpec, "no state"))},
		{name: "ham_entity_handle with NULL is the global entity",
			when:  when(asks(root, Request{Declare: &Declare{Path: Handle{}, Condition: &anyDeath}})),
			holds: tree(Global, "death: logged")},
		{name: "names: no slash", when: when(refused(root, declaring(EntitySpec{Name: "a/b"}), ErrBadName, "slash"))},
		{name: "names: none that hides, is empty or cannot be printed",
			when: when(refused(root, declaring(EntitySpec{Name: ".info"}), ErrBadName, "dot"), refused(root, declaring(EntitySpec{Name: "a\nb"}), ErrBadName, "printed"),
				refused(root, declaring(entity("e", named("", anyDeath))), ErrBadName, "empty"))},
		{name: "names: the path of an action is _POSIX_PATH_MAX at most (ENAMETOOLONG)",
			when: when(refused(root, declaring(entity(strings.Repeat("e", 100), named(strings.Repeat("c", 100), on(OnDeath, 0, logs(strings.Repeat("a", 54)))))), ErrNameTooLong, "256 bytes"))},
		{name: "handles: what has vanished is ENOENT",
			given: given(declares(entity("e", anyDeath)), asks(root, removing("e/death"))),
			when:  when(refused(root, declaringAction("e/death", logged), ErrNotFound, "condition"), refused(root, removing("e/death/logged"), ErrNotFound, "condition"))},
		{name: "handles: what was declared anew under the name is not what the handle meant",
			given: given(declares(entity("e", anyDeath))),
			when: when(func(w *world) {
				old := Handle{Path: Path{Entity: "e", Condition: "death"}, Generation: w.m.look("e").Conditions[0].Generation}
				w.must(w.ask(root, removing("e/death")))
				w.must(w.ask(root, declaringCondition("e", anyDeath)))
				require.ErrorIs(t, w.ask(root, Request{Remove: &Remove{Path: old}}), ErrStale)
			}), holds: tree("e", "death: logged")},
		{name: "ensure: to declare again what is there is no error, and keeps its generation",
			given: given(declares(entity("e", anyDeath))),
			when: when(func(w *world) {
				before := w.m.look("e").Conditions[0]
				w.declare(entity("e", anyDeath))
				require.Equal(t, before, w.m.look("e").Conditions[0])
				require.False(t, w.reply.Created)
			})},
		{name: "ensure: EEXIST is for those who ask for it",
			given: given(declares(entity("e", anyDeath))),
			when: when(func(w *world) {
				e, c, a := entity("e"), anyDeath, logged
				require.ErrorIs(t, w.ask(root, Request{Declare: &Declare{Entity: &e, Create: true}}), ErrExists)
				require.ErrorIs(t, w.ask(root, Request{Declare: &Declare{Path: handle("e"), Condition: &c, Create: true}}), ErrExists)
				require.ErrorIs(t, w.ask(root, Request{Declare: &Declare{Path: handle("e/death"), Action: &a, Create: true}}), ErrExists)
			})},
		{name: "ensure: an exact declaration takes out what it does not name, and orders the actions",
			given: given(declares(entity("e", on(OnDeath, 0, logs("a"), logs("b")), onDetach))),
			when: when(func(w *world) {
				e := entity("e", on(OnDeath, 0, logs("c"), logs("a")))
				w.must(w.ask(root, Request{Declare: &Declare{Entity: &e, Exact: true}}))
			}), holds: tree("e", "death: c a")},
		{name: "owner: what belongs to another is not to be changed", given: given(asks(ada, declaring(entity("e", anyDeath)))),
			when: when(refused(bob, declaring(entity("e")), ErrNotPermitted, "belongs to user 1000"), refused(bob, removing("e"), ErrNotPermitted, "belongs"),
				refused(bob, controlling("e/death", Disable), ErrNotPermitted, "belongs"), refused(bob, declaringCondition(Global, anyDeath), ErrNotPermitted, Global))},
		{name: "owner: an administrator may change everything", given: given(asks(ada, declaring(entity("e", anyDeath)))), when: when(asks(root, removing("e"))),
			then: then("forget e"), holds: gone("e")},
		{name: "owner: only an administrator chooses the user of a command",
			when: when(refused(ada, declaring(EntitySpec{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"x"}, User: "root"}}}), ErrNotPermitted, "administrator"))},
		{name: "owner: who attaches itself to an entity that HAM started may beat and report, and no more",
			given: given(running(entity("e", lives())), func(w *world) {
				self := Peer{UID: 33, PID: w.m.look("e").Process.PID, Client: 9}
				w.must(w.ask(self, attachingSelf("e", self, &Heartbeat{Period: time.Second, High: 2})))
				w.must(w.ask(self, Request{Beat: &Beat{Entity: handle("e")}}))
				w.must(w.ask(self, Request{State: &ReportState{Entity: handle("e"), State: 1}}))
				require.ErrorIs(t, w.ask(self, removing("e/death")), ErrNotPermitted)
				require.ErrorIs(t, w.ask(self, declaringCondition("e", on(OnAbnormalDeath, 0, ActionSpec{Name: "r", Restart: &Restart{Command: &Command{Argv: []string{"sh"}}}}))), ErrNotPermitted)
			})},
	})
}

func disconnects(p Peer) step {
	return func(w *world) { w.step(Event{Disconnected: &Disconnected{Client: p.Client}}) }
}
