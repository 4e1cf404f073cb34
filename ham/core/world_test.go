package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world is a machine with everything around it played by the test: time passes only when it is told to, and outcomes are what
// the test says.
type world struct {
	t       require.TestingT
	m       *Machine
	store   *Memory
	now     time.Duration
	wake    time.Duration
	pid     int
	said    []string // effects in words, since the last look
	last    map[string]Effect
	reply   Reply
	request uint64
}

var (
	root = Peer{Admin: true, PID: 1, Client: 1}
	ada  = Peer{UID: 1000, GID: 1000, PID: 500, Client: 5}
	bob  = Peer{UID: 1001, GID: 1001, PID: 600, Client: 6}
)

func newWorld(t require.TestingT) *world {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	s := &Memory{}
	w := &world{t: t, store: s, m: New(s), now: time.Second, wake: -1, pid: 100, last: map[string]Effect{}}
	w.step(Event{Resumed: &Resumed{PID: 7, Planned: true}})
	w.said = nil
	return w
}

func (w *world) step(ev Event) []Effect {
	ev.At, ev.Wall = w.now, int64(w.now)
	effects := w.m.Step(ev)
	for _, e := range effects {
		switch e := e.(type) {
		case WakeAt:
			w.wake = e.At
		case Reply:
			w.reply = e
		case Happened:
		default:
			text := words(e)
			w.said = append(w.said, text)
			w.last[strings.Fields(text)[0]+" "+about(e)] = e
		}
	}
	return effects
}

// about returns the entity, or the path of the action, that an effect is for.
func about(e Effect) string {
	switch e := e.(type) {
	case Spawn:
		return e.Entity
	case End:
		return e.Entity
	case Await:
		return e.Path.String()
	case RunCommand:
		return e.Path.String()
	case Tell:
		return e.Path.String()
	case SendSignal:
		return e.Path.String()
	}
	return ""
}

// words puts an effect into words.
func words(e Effect) string {
	again := func(a bool) string { return map[bool]string{true: " again"}[a] }
	switch e := e.(type) {
	case Spawn:
		return "spawn " + e.Entity + again(e.Again)
	case Watch:
		return fmt.Sprintf("watch %s %d", e.Entity, e.PID)
	case WatchPair:
		return "watchpair " + e.Entity + " " + e.Pair
	case Unwatch:
		return "unwatch " + e.Entity
	case WatchBeats:
		return "watchbeats " + e.Entity
	case UnwatchBeats:
		return "unwatchbeats " + e.Entity
	case Sample:
		return fmt.Sprintf("sample %s %v", e.Entity, e.Every)
	case Forget:
		return "forget " + e.Entity
	case RunCommand:
		return "run " + e.Path.String() + map[bool]string{true: " background"}[e.Background] + again(e.Again)
	case Await:
		return "await " + e.Path.String() + again(e.Again)
	case Cancel:
		return "cancel"
	case Tell:
		return "tell " + e.Path.String() + again(e.Again)
	case SendSignal:
		return fmt.Sprintf("signal %s %d to %d", e.Path, e.Signal.Signal, e.Signal.PID) + again(e.Again)
	case End:
		return "end " + e.Entity + again(e.Again)
	case WriteLog:
		return "log " + e.Text
	case ShutDown:
		return "shutdown"
	}
	return fmt.Sprintf("%T", e)
}

// heard returns what was said since the last look.
func (w *world) heard() []string {
	said := w.said
	w.said = nil
	return said
}

// ask sends a request and returns the answer.
func (w *world) ask(by Peer, r Request) error {
	w.request++
	r.ID, r.By = w.request, by
	w.step(Event{Request: &r})
	require.Equal(w.t, w.request, w.reply.ID, "a request is answered, once, at once")
	return w.reply.Err
}

func (w *world) must(err error) { require.NoError(w.t, err) }

// declare declares an entity for root.
func (w *world) declare(e EntitySpec) {
	w.must(w.ask(root, Request{Declare: &Declare{Entity: &e}}))
}

// run declares an entity with a command, has it started and says that it runs.
func (w *world) run(e EntitySpec) {
	if e.Settings == nil {
		e.Settings = &Settings{}
	}
	e.Settings.Command.Argv, e.Settings.Start = []string{"/bin/" + e.Name}, true
	w.declare(e)
	w.born(e.Name)
}

// born says that the process that was last to be started runs.
func (w *world) born(entity string) {
	w.pid++
	w.step(Event{Spawned: &Spawned{ID: w.spawnID(entity), PID: w.pid, Start: uint64(w.pid)}})
}

func (w *world) spawnID(entity string) uint64 {
	e := w.m.look(entity)
	require.NotNil(w.t, e, "no entity %s", entity)
	require.NotZero(w.t, e.Process.Spawn, "%s is not being started", entity)
	return e.Process.Spawn
}

// dies says that the process of an entity has ended.
func (w *world) dies(entity string, exit Exit) {
	e := w.m.look(entity)
	require.NotNil(w.t, e, "no entity %s", entity)
	w.step(Event{Exited: &Exited{Entity: entity, PID: e.Process.PID, Start: e.Process.Start, Exit: exit}})
}

// finish says what became of the action at a path; kind is the first word of its effect.
func (w *world) finish(effect string, err string) {
	e, ok := w.last[effect]
	require.True(w.t, ok, "nobody asked for %q; there were %v", effect, w.last)
	var id uint64
	switch e := e.(type) {
	case RunCommand:
		id = e.ID
	case Await:
		id = e.ID
	case Tell:
		id = e.ID
	case SendSignal:
		id = e.ID
	case End:
		id = e.ID
	default:
		require.Failf(w.t, "no outcome", "%T", e)
	}
	w.step(Event{Done: &Done{ID: id, Err: err}})
}

// sleep lets time pass, with a tick whenever the machine asked for one.
func (w *world) sleep(d time.Duration) {
	end := w.now + d
	for w.wake >= 0 && w.wake <= end {
		w.now = max(w.now, w.wake)
		w.step(Event{Tick: &Tick{}})
	}
	w.now = end
}

// takeOver has another machine go on from the records.
func (w *world) takeOver() {
	w.m, w.wake = New(w.store), -1 // nobody wakes a process for what another one asked for
	w.step(Event{Resumed: &Resumed{PID: 8}})
}

// history returns what has happened, in words.
func (w *world) history() (all []string) {
	for _, h := range w.store.History() {
		all = append(all, strings.TrimSpace(Path{h.Entity, h.Condition, h.Action}.String()+" "+string(h.What)))
	}
	return all
}

func (w *world) has(what ...string) {
	for _, x := range what {
		require.Contains(w.t, w.history(), x)
	}
}

func (w *world) count(what string) (n int) {
	for _, h := range w.history() {
		if h == what {
			n++
		}
	}
	return n
}

// Short forms of what tests declare.

func on(t ConditionType, flags ConditionFlags, actions ...ActionSpec) ConditionSpec {
	return ConditionSpec{Name: strings.ReplaceAll(t.String(), "_", ""), On: t, Flags: flags, Actions: actions}
}

func named(name string, c ConditionSpec) ConditionSpec {
	c.Name = name
	return c
}

func logs(name string) ActionSpec { return ActionSpec{Name: name, Log: &Log{Text: name}} }

func waits(name string) ActionSpec {
	return ActionSpec{Name: name, WaitFor: &WaitFor{TCP: "127.0.0.1:7777", Timeout: 5 * time.Second}}
}

func runs(name string) ActionSpec {
	return ActionSpec{Name: name, Execute: &Execute{Command: Command{Argv: []string{"/bin/" + name}}}}
}

func restarts() ActionSpec { return ActionSpec{Name: "restart", Restart: &Restart{}} }

func flagged(a ActionSpec, flags ActionFlags) ActionSpec {
	a.Flags = flags
	return a
}

// lives is a death condition that survives restarts, with a restart that does too, and whatever else.
func lives(more ...ActionSpec) ConditionSpec {
	return on(OnDeath, RearmCondition, slices.Concat([]ActionSpec{flagged(restarts(), RearmAction|KeepOnFail)}, more)...)
}

func entity(name string, conditions ...ConditionSpec) EntitySpec {
	return EntitySpec{Name: name, Flags: KeepOnDeath, Conditions: conditions}
}

func handle(path string) Handle {
	p, err := ParsePath(path)
	if err != nil {
		panic(err)
	}
	return Handle{Path: p}
}

func TestAnEntityIsStartedRestartedAndGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(entity("inetd", lives(waits("wait"), runs("warm"))))
	require.Equal(t, []string{"spawn inetd"}, w.heard())
	w.dies("inetd", Exit{Known: true, Signal: 9})
	require.Equal(t, []string{"spawn inetd"}, w.heard())
	w.born("inetd")
	require.Equal(t, []string{"await inetd/death/wait"}, w.heard())
	w.finish("await inetd/death/wait", "")
	require.Equal(t, []string{"run inetd/death/warm"}, w.heard())
	w.finish("run inetd/death/warm", "")
	require.Empty(t, w.heard())
	e := w.m.look("inetd")
	require.Equal(t, Running, e.Process.Phase)
	require.EqualValues(t, 1, e.Restarts)
	w.has("inetd died", "inetd restarted", "inetd/death/warm action done")
	require.Empty(t, slices.Collect(w.store.Jobs()))
}
