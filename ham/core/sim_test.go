package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// sim plays everything around a machine at random, and beside it a twin that gets the same events. After each event it checks what
// must hold whatever happens.
type sim struct {
	*rapid.T
	m, twin *Machine
	store   *Memory
	other   *Memory
	now     time.Duration
	wake    time.Duration
	pid     int
	request uint64

	open    []uint64          // effects whose outcome is still to come, in order
	effects map[uint64]Effect // all that had an ID
	begun   map[string]uint64 // steps of lists that were begun, job/step/failing, and the effect
	stood   map[uint64]bool   // jobs that once stood aside
	alive   map[string][]int  // processes under watch that run, by entity
	resumed bool              // the present step is a takeover
	gone    bool              // ShutDown was said
	steps   int
}

func newSim(t *rapid.T) *sim {
	s := &sim{T: t, store: &Memory{}, other: &Memory{}, now: time.Minute, wake: -1, pid: 1000}
	s.effects, s.begun, s.stood, s.alive = map[uint64]Effect{}, map[string]uint64{}, map[uint64]bool{}, map[string][]int{}
	s.m, s.twin = New(s.store), New(s.other)
	s.step(Event{Resumed: &Resumed{PID: 1, Planned: true}})
	return s
}

// step gives both machines an event, carries the effects into the model, and checks.
func (s *sim) step(ev Event) {
	ev.At, ev.Wall = s.now, int64(s.now)
	ev.Seed = uint64(s.now)
	if b, err := codec.Append(nil, ev); err != nil {
		s.Fatalf("an event does not encode: %v", err)
	} else {
		var back Event
		require.NoError(s, codec.Decode(b, &back))
		ev = back // what the machine sees has been through msgpack
	}
	before := s.records()
	out := s.m.Step(ev)
	s.tell(ev, out)
	if twin := s.twin.Step(ev); !reflect.DeepEqual(out, twin) {
		require.Equal(s, out, twin, "the same events have the same effects")
	}
	answers := 0
	for _, e := range out {
		s.effect(e)
		if r, ok := e.(Reply); ok {
			answers++
			if r.Err != nil {
				s.unchanged(before)
			}
		}
	}
	require.Equal(s, ev.Request != nil, answers == 1, "a request has one answer, and nothing else has any")
	s.check()
}

// tell logs an event and what came of it, for a failure to be understood.
func (s *sim) tell(ev Event, out []Effect) {
	b, _ := json.Marshal(ev)
	var fields map[string]any
	_ = json.Unmarshal(b, &fields)
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil })
	b, _ = json.Marshal(fields)
	var said []string
	for _, e := range out {
		switch e := e.(type) {
		case Happened:
			said = append(said, fmt.Sprintf("(%s %s)", Path{e.Entity, e.Condition, e.Action}, e.What))
		case WakeAt:
		case Reply:
			said = append(said, fmt.Sprintf("reply %v", e.Err))
		default:
			id, _ := idOf(e)
			said = append(said, fmt.Sprintf("%s#%d", words(e), id))
		}
	}
	s.Logf("%s\n\t-> %s", b, strings.Join(said, "; "))
}

// unchanged checks that a refused request has left the tree alone. Time passes all the same, so what was due is excepted.
func (s *sim) unchanged(before []any) {
	if s.wake > s.now || s.wake < 0 {
		require.True(s, slices.Equal(before, s.records()), "a refused request changes nothing")
	}
}

// records returns what is in the store. Records are not changed but replaced, so that their addresses tell.
func (s *sim) records() (all []any) {
	all = append(all, s.store.root)
	for e := range s.store.Entities() {
		all = append(all, e)
	}
	for j := range s.store.Jobs() {
		all = append(all, j)
	}
	return all
}

// effect carries an effect into the model.
func (s *sim) effect(e Effect) {
	id, again := idOf(e)
	if id != 0 {
		_, known := s.effects[id]
		require.Equal(s, again, known, "%#v: an ID is new, or is given out again at a takeover", e)
		require.True(s, !again || s.resumed, "%#v: nothing is done again but at a takeover", e)
		require.NotContains(s, s.open, id)
		s.effects[id] = e
		s.open = append(s.open, id)
	}
	switch e := e.(type) {
	case Spawn:
		require.True(s, len(s.alive[e.Entity]) == 0 || s.store.Entity(e.Entity).Settings.Pair != "", "%s is started while a process of it runs", e.Entity)
		require.NotEmpty(s, e.Command.Argv)
	case Watch:
		s.alive[e.Entity] = []int{e.PID}
	case Unwatch:
		delete(s.alive, e.Entity)
	case Cancel:
		s.open = slices.DeleteFunc(s.open, func(x uint64) bool { return x == e.ID })
	case WakeAt:
		s.wake = e.At
	case ShutDown:
		s.gone = true
		for x := range s.store.Entities() {
			require.False(s, x.Process.Spawned && x.Alive(), "%s still runs when HAM says that all has stopped", x.Name)
		}
	}
}

func idOf(e Effect) (id uint64, again bool) {
	switch e := e.(type) {
	case Spawn:
		return e.ID, e.Again
	case RunCommand:
		return e.ID, e.Again
	case Await:
		return e.ID, e.Again
	case Tell:
		return e.ID, e.Again
	case SendSignal:
		return e.ID, e.Again
	case End:
		return e.ID, e.Again
	}
	return 0, false
}

// check is what holds after every event.
func (s *sim) check() {
	s.checkLanes()
	if s.steps++; s.steps%8 == 0 {
		s.checkDerived()
		require.Equal(s, snapshot(s.store), snapshot(s.other), "the same events lead to the same records")
	}
	for e := range s.store.Entities() {
		s.checkEntity(e)
	}
}

// checkLanes: one list at a time in each lane, FIFO, and nothing begun twice.
func (s *sim) checkLanes() {
	running := map[Lane]*Job{}
	for j := range s.store.Jobs() {
		if j.Aside {
			s.stood[j.ID] = true
			require.Zero(s, j.Effect, "a list that stands aside does nothing")
			continue
		}
		if j.Effect == 0 && j.Until == 0 {
			continue
		}
		require.Nil(s, running[j.Lane], "two lists at once in lane %v: %+v and %+v", j.Lane, running[j.Lane], j)
		running[j.Lane] = j
		key := fmt.Sprintf("%d/%d/%d", j.ID, j.Step, j.Failing)
		if j.Effect != 0 && !slices.Contains(s.open, j.Effect) {
			s.Fatalf("list %+v waits for %d, which is not under way", j, j.Effect)
		}
		if was, ok := s.begun[key]; ok && j.action().Restart == nil { // a start that failed for a while is tried again
			require.Equal(s, was, j.Effect, "%s of list %d is done twice", j.action().Name, j.ID)
		}
		s.begun[key] = j.Effect
	}
	shared := 0
	for lane := range running {
		if lane.Class != IndependentLane {
			shared++
		}
	}
	require.LessOrEqual(s, shared, 2, "at most two lanes more than there are independent conditions")
	for j := range s.store.Jobs() {
		if j.Aside || s.stood[j.ID] || j.Effect != 0 || j.Until != 0 {
			continue
		}
		require.NotNil(s, running[j.Lane], "%+v waits, but nothing runs in its lane", j)
		require.True(s, running[j.Lane].ID < j.ID, "list %d runs before %d in lane %v: expected FIFO", running[j.Lane].ID, j.ID, j.Lane)
	}
}

// checkDerived: what a machine keeps besides the records can be worked out from them at any time.
func (s *sim) checkDerived() {
	fresh := New(s.reread())
	fresh.begin(Event{At: s.now})
	require.Equal(s, fresh.flight, s.m.flight)
	require.Equal(s, fresh.dependents, s.m.dependents)
	require.ElementsMatch(s, slices.Collect(maps.Keys(fresh.beats)), slices.Collect(maps.Keys(s.m.beats)))
	for lane, q := range fresh.lanes {
		require.NotNil(s, s.m.lanes[lane])
		require.Equal(s, q.waiting, slices.Clip(append([]uint64(nil), s.m.lanes[lane].waiting...)), "lane %v", lane)
		require.Equal(s, q.running, s.m.lanes[lane].running)
	}
	for lane := range s.m.lanes {
		require.Contains(s, fresh.lanes, lane)
	}
}

func (s *sim) checkEntity(e *Entity) {
	p := &e.Process
	if e.Alive() {
		require.Contains(s, []Phase{Running, Stopping}, p.Phase, "%s", e.Name)
		require.Zero(s, p.Spawn)
		if !e.paired() {
			require.Contains(s, s.alive[e.Name], p.PID, "%s runs unwatched", e.Name)
		}
	} else {
		require.NotContains(s, []Phase{Running, Stopping}, p.Phase, "%s: %+v", e.Name, p)
		require.Equal(s, Unwatched, e.Pulse.State)
	}
	if p.Phase == Starting {
		require.Contains(s, s.open, p.Spawn)
	}
	if p.Phase == Waiting && p.Job == 0 {
		require.False(s, s.m.dependenciesUp(e), "%s waits for nothing", e.Name)
	}
	if p.Phase == Delayed {
		require.Greater(s, p.Due, s.now, "%s was forgotten", e.Name)
		require.LessOrEqual(s, s.wake, p.Due, "%s is not called in time", e.Name)
	}
	if p.Job != 0 {
		require.NotNil(s, s.store.Job(p.Job), "%s waits for a list that is gone", e.Name)
	}
	if p.Phase == Dead {
		require.NotNil(s, s.store.Job(p.Reviver), "nobody brings %s back", e.Name)
	}
	limit := e.Settings.Restart.limit()
	require.True(s, limit < 0 || e.Spent.Count <= float64(limit), "%s was restarted %v times, its budget is %d", e.Name, e.Spent.Count, limit)
	restarts := 0
	for i := range e.Conditions {
		for _, a := range e.Conditions[i].Actions {
			if a.Spec.Restart != nil {
				restarts++
			}
		}
	}
	require.LessOrEqual(s, restarts, 1)
	require.LessOrEqual(s, len(e.History), EntityHistory)
}

// snapshot encodes all records.
func snapshot(s *Memory) (b []byte) {
	add := func(v any) {
		var err error
		if b, err = codec.Append(b, v); err != nil {
			panic(err)
		}
	}
	add(s.root)
	for e := range s.Entities() {
		add(e)
	}
	for j := range s.Jobs() {
		add(j)
	}
	return b
}

// reread returns a copy of the store that has been through msgpack.
func (s *sim) reread() *Memory {
	c := &Memory{root: s.store.root, history: s.store.history}
	for e := range s.store.Entities() {
		c.PutEntity(through(s, e))
	}
	for j := range s.store.Jobs() {
		c.PutJob(through(s, j))
	}
	require.True(s, bytes.Equal(snapshot(s.store), snapshot(c)), "the records come through msgpack as they were")
	return c
}

func through[V any](t require.TestingT, v *V) *V {
	b, err := codec.Append(nil, v)
	require.NoError(t, err)
	var back V
	require.NoError(t, codec.Decode(b, &back))
	return &back
}

func TestWhateverHappensInWhateverOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		for _, name := range names {
			s.request++
			s.step(Event{Request: &Request{ID: s.request, By: root, Declare: &Declare{Entity: s.entity(name)}}})
		}
		for range rapid.IntRange(10, 150).Draw(t, "events") {
			if s.gone {
				break
			}
			s.something()
		}
		s.drain()
	})
}

func TestRecordsCanBeEncoded(t *testing.T) {
	t.Parallel()
	for _, v := range []any{Event{}, Entity{}, Job{}, Root{}, Happening{}} {
		require.NoError(t, codec.Check(reflectType(v)))
	}
}
