package core

import "time"

// What the machine keeps of each entity, and nothing else: a machine that is given these records goes on where the other one
// stopped. Slices in a record are never changed in place, so that a copy of a record is a copy of all of it.

// Entity is the record of one entity.
type Entity struct {
	Name       string      `json:"name"`
	Generation uint64      `json:"generation"`
	Owner      Owner       `json:"owner"`
	Kind       Kind        `json:"kind"`
	Flags      EntityFlags `json:"flags,omitempty"`
	Disabled   bool        `json:"disabled,omitempty"`
	Settings   Settings    `json:"settings"`
	Client     uint64      `json:"client,omitempty"` // of a self-attached one: its connection
	Conditions []Condition `json:"conditions,omitempty"`

	Process Process  `json:"process"`
	Pulse   Pulse    `json:"pulse"`
	State   int64    `json:"state"`
	Entered bool     `json:"entered,omitempty"` // State was reported: zero is a state too
	Spent   Spent    `json:"spent"`
	Pair    *Pair    `json:"pair,omitempty"`
	Usage   []Usage  `json:"usage,omitempty"`
	Status  string   `json:"status,omitempty"` // its own words: STATUS= of sd_notify(3)
	FDs     []string `json:"fds,omitempty"`    // names of descriptors kept for it

	Created  int64       `json:"created"` // Unix nanoseconds
	Restarts uint64      `json:"restarts"`
	Deaths   uint64      `json:"deaths"`
	LastExit *Exit       `json:"last_exit,omitempty"`
	History  []Happening `json:"history,omitempty"` // the last EntityHistory, oldest first
}

// Process is the process of an entity, or the lack of one.
type Process struct {
	Phase   Phase         `json:"phase"`
	PID     int           `json:"pid,omitempty"` // 0: none
	Start   uint64        `json:"start,omitempty"`
	Since   time.Duration `json:"since,omitempty"` // it runs; CLOCK_MONOTONIC
	Ready   bool          `json:"ready,omitempty"`
	ReadyBy time.Duration `json:"ready_by,omitempty"` // or it is stopped; 0: no limit
	Spawned bool          `json:"spawned,omitempty"`  // HAM started it
	Want    bool          `json:"want,omitempty"`     // there is to be one
	Again   bool          `json:"again,omitempty"`    // the next one is a restart
	Ending  Ending        `json:"ending,omitempty"`   // why the present one is to end
	Why     string        `json:"why,omitempty"`      // of Condemned
	Due     time.Duration `json:"due,omitempty"`      // it is not started before
	ProbeAt time.Duration `json:"probe_at,omitempty"` // whether it is ready is asked again; 0: is being asked, or known
	LostAt  time.Duration `json:"lost_at,omitempty"`  // its connection has ended: at this time it counts as dead; 0: it has not
	EndedAt time.Duration `json:"ended_at,omitempty"` // it was ended: at this time it counts as gone; 0: it was not
	Every   time.Duration `json:"every,omitempty"`    // it is sampled so often
	Spawn   uint64        `json:"spawn,omitempty"`    // ID of the Spawn that is under way
	End     uint64        `json:"end,omitempty"`      // of the End
	Probe   uint64        `json:"probe,omitempty"`    // of the Await that tells whether it is ready
	Reviver uint64        `json:"reviver,omitempty"`  // of a dead one: the job that will come to a restart action
	Job     uint64        `json:"job,omitempty"`      // the job whose restart action has come, and waits for it
	Claim   *Claim        `json:"claim,omitempty"`    // who attached itself while it was being started
	Command *Command      `json:"command,omitempty"`  // of that action; nil: that of the settings
}

// Claim is a process that attached itself to an entity that is being started. Most often it is the one that is being started, and
// faster than the news of it. If it is another, it is the entity's process from then on: the one that was started has only
// brought it up.
type Claim struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"`
	Self   bool   `json:"self"`
	Client uint64 `json:"client"`
}

// Ending is why a process is to end, and so what follows.
type Ending uint8

// The reasons. A later one of them overrides an earlier one.
const (
	Stays     Ending = iota // it is not to end; if it does it died
	Condemned               // it was ended for a fault of its own (Why): that is a death too
	ToRestart               // another one follows
	ToStop                  // on request: it stays away
	ToDetach                // the entity is detached then
	ToRemove                // the entity is removed then
)

// Pulse is the heartbeat of an entity. When the last beat came is not part of the record, since it changes all the time:
// see Machine.LastBeat.
type Pulse struct {
	State     HeartbeatState `json:"state"`
	Suspended bool           `json:"suspended,omitempty"` // it reloads or stops: nothing is missed
	Missed    uint64         `json:"missed,omitempty"`    // times that a mark was passed
}

// Spent is how much of a restart budget is used.
type Spent struct {
	Count float64       `json:"count"` // of restarts, decayed to the time Last
	Last  time.Duration `json:"last,omitempty"`
	Lived time.Duration `json:"lived,omitempty"` // how long the last process ran
}

// Usage is how one OnResourceExceeded condition stands with an entity.
type Usage struct {
	Condition uint64 `json:"condition"` // its generation
	Over      int    `json:"over"`      // samples in a row above its limits
}

// Condition is the record of one condition.
type Condition struct {
	Spec       ConditionSpec `json:"spec"` // without the actions
	Generation uint64        `json:"generation"`
	Owner      Owner         `json:"owner"` // who declared it: its actions are done on his behalf
	Disabled   bool          `json:"disabled,omitempty"`
	Actions    []Action      `json:"actions,omitempty"`
	Fired      uint64        `json:"fired"`
	LastFired  int64         `json:"last_fired,omitempty"` // Unix nanoseconds
}

// Action is the record of one action.
type Action struct {
	Spec       ActionSpec `json:"spec"`
	Generation uint64     `json:"generation"`
	Disabled   bool       `json:"disabled,omitempty"`
	Runs       uint64     `json:"runs"`  // times that it was begun
	Fails      uint64     `json:"fails"` // of these
	LastError  string     `json:"last_error,omitempty"`
}

// Job is an action list in flight: a condition fired, and its actions are done one by one. It holds its own copy of them, so
// that what is removed or pruned meanwhile, by a restart in this very list for one, is done all the same.
type Job struct {
	ID        uint64        `json:"id"` // its place in the lane
	Path      Path          `json:"path"`
	Entity    uint64        `json:"entity"`    // generation of the entity in Path
	Condition uint64        `json:"condition"` // generation
	Lane      Lane          `json:"lane"`
	Owner     Owner         `json:"owner"`
	Cause     Cause         `json:"cause"`
	Depth     int           `json:"depth,omitempty"` // raises that led to it
	Actions   []Action      `json:"actions"`
	Step      int           `json:"step"`              // the action that is done
	Failing   int           `json:"failing,omitempty"` // > 0: it failed, and this item of its fail list, from 1, is done
	Effect    uint64        `json:"effect,omitempty"`  // ID of the effect under way; of a restart that of its Spawn
	Until     time.Duration `json:"until,omitempty"`   // of a wait: when it ends
	Aside     bool          `json:"aside,omitempty"`   // its restart has to wait: the lane goes on without it
}

// Root is what is kept of HAM itself.
type Root struct {
	Seq              uint64 `json:"seq"` // last number given out: generations, jobs, effects and happenings share them
	Verbosity        int    `json:"verbosity"`
	PID              int    `json:"pid"`
	GuardianPID      int    `json:"guardian_pid"`
	Failures         uint64 `json:"failures"`
	GuardianFailures uint64 `json:"guardian_failures"`
	Stopping         bool   `json:"stopping,omitempty"` // StopAll was asked for
	Created          int64  `json:"created"`            // Unix nanoseconds
	Died             uint64 `json:"died"`               // deaths of entities
	Restarted        uint64 `json:"restarted"`
	Fired            uint64 `json:"fired"`  // conditions
	Failed           uint64 `json:"failed"` // actions
}

// condition returns the index of a condition, or -1.
func (e *Entity) condition(name string) int {
	for i := range e.Conditions {
		if e.Conditions[i].Spec.Name == name {
			return i
		}
	}
	return -1
}

// action returns the index of an action, or -1.
func (c *Condition) action(name string) int {
	for i := range c.Actions {
		if c.Actions[i].Spec.Name == name {
			return i
		}
	}
	return -1
}

// Alive reports whether the entity has a process.
func (e *Entity) Alive() bool { return e.Process.PID != 0 }

// Up reports whether the entity is ready, so that those that depend on it may start.
func (e *Entity) Up() bool { return e.Process.Phase == Running && e.Process.Ready }

// target returns the process of the entity.
func (e *Entity) target() Target {
	return Target{Entity: e.Name, PID: e.Process.PID, Start: e.Process.Start}
}
