package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One step must not change more than a record of the pair holds: what concerns a crowd is done in many.
func TestAStepChangesAFewHundredRecordsAtMost(t *testing.T) {
	t.Parallel()
	const crowd = 5 * elapseAtOnce
	w := newWorld(t)
	for i := range crowd {
		e := entity(fmt.Sprintf("e%d", i), lives(logged))
		e.Settings = &Settings{Heartbeat: Heartbeat{Period: time.Second, High: 2}}
		running(e)(w)
	}
	counted := &counting{Memory: w.store}
	w.m = New(counted)
	w.wake = -1
	w.step(Event{Resumed: &Resumed{PID: 8, Planned: true}})

	w.sleep(2*time.Second + 600*time.Millisecond)
	missed := 0
	for e := range w.store.Entities() {
		if e.Pulse.State == MissedHigh {
			missed++
		}
	}
	require.Equal(t, crowd, missed, "broken promise: everybody's time comes")

	asks(root, Request{Control: &Control{Verb: StopAll}})(w)
	w.sleep(time.Second)
	for e := range w.store.Entities() {
		require.Equal(t, ToStop, e.Process.Ending, "broken promise: everything is told to stop")
	}
	require.LessOrEqual(t, counted.most, 2*elapseAtOnce)
}

// counting counts the records that one step puts.
type counting struct {
	*Memory
	puts, most int
}

func (c *counting) Root() *Root {
	return c.Memory.Root()
}

func (c *counting) PutEntity(e *Entity) {
	c.puts++
	c.most = max(c.most, c.puts)
	c.Memory.PutEntity(e)
}

func (c *counting) SetRoot(r *Root) { // the last of a step that changed anything
	c.puts = 0
	c.Memory.SetRoot(r)
}

func TestAfterBothHalvesDiedNobodyIsToldWhoMayBeAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	self := Peer{Admin: true, PID: 101, Client: 7}
	asks(self, attachingSelf("e", self, nil))(w)
	tells := ActionSpec{Name: "tell", Notify: &Notify{Client: 7}}
	asks(root, Request{Declare: &Declare{Path: Handle{Path: Path{Entity: "e"}}, Condition: &ConditionSpec{Name: "told", On: OnState, From: Anything(), To: Anything(), Actions: []ActionSpec{tells}}}})(w)
	require.Len(t, w.m.look("e").Conditions, 1)

	w.m, w.wake = New(w.store), -1
	w.step(Event{Resumed: &Resumed{PID: 8, Anew: true}})
	e := w.m.look("e")
	require.True(t, e.Alive(), "broken promise: the process goes on")
	require.Equal(t, SelfAttached, e.Kind)
	require.Zero(t, e.Client)
	require.Empty(t, e.Conditions, "broken promise: an action that would write to another client goes")
	w.step(Event{Disconnected: &Disconnected{Client: 7}})
	w.sleep(time.Minute)
	require.True(t, w.m.look("e").Alive(), "broken promise: the end of another client's connection is not this one's")
}
