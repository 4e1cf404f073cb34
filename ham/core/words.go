package core

import (
	"fmt"
	"strings"
)

// ConditionType is what a condition waits for.
type ConditionType uint8

// The ten condition types of QNX, and five of ours.
const (
	OnAny                 ConditionType = iota + 1 // whatever happens (CONDANY)
	OnDeath                                        // the entity died (CONDDEATH)
	OnAbnormalDeath                                // it died of a signal of the kind that makes a core file (CONDABNORMALDEATH)
	OnDetach                                       // its watch ended on request (CONDDETACH)
	OnAttach                                       // a process joined under its name (CONDATTACH)
	OnRestart                                      // it was restarted (CONDRESTART)
	OnHeartbeatMissedLow                           // it missed Heartbeat.Low beats (CONDHBEATMISSEDLOW)
	OnHeartbeatMissedHigh                          // it missed Heartbeat.High beats (CONDHBEATMISSEDHIGH)
	OnState                                        // it reported a change of state (CONDSTATE)
	OnRaise                                        // a component raised a condition (CONDRAISE)
	OnGaveUp                                       // its restart budget is used up
	OnHeartbeatRecovered                           // a beat came after a mark was missed
	OnActionFailed                                 // an action of one of its conditions failed
	OnTakeover                                     // the backup of a pair took over; of the global entity also: HAM's guardian did
	OnResourceExceeded                             // it uses more than the condition allows
)

var conditionTypes = [...]string{
	OnAny: "any", OnDeath: "death", OnAbnormalDeath: "abnormal_death", OnDetach: "detach", OnAttach: "attach", OnRestart: "restart",
	OnHeartbeatMissedLow: "heartbeat_missed_low", OnHeartbeatMissedHigh: "heartbeat_missed_high", OnState: "state", OnRaise: "raise",
	OnGaveUp: "gave_up", OnHeartbeatRecovered: "heartbeat_recovered", OnActionFailed: "action_failed", OnTakeover: "takeover",
	OnResourceExceeded: "resource_exceeded",
}

// ParseConditionType returns the type of a name as String has it.
func ParseConditionType(name string) (ConditionType, error) {
	for i, n := range conditionTypes {
		if n != "" && n == name {
			return ConditionType(i), nil
		}
	}
	return 0, fmt.Errorf("condition type %q, expected one of %s: %w", name, strings.Join(conditionTypes[1:], ", "), ErrBadSpec)
}

// String returns the name that configuration files use.
func (t ConditionType) String() string { return nameOf(conditionTypes[:], "condition type", t) }

// MarshalText makes JSON, TOML and msgpack carry the name.
func (t ConditionType) MarshalText() ([]byte, error) {
	if t == 0 {
		return nil, nil
	}
	return []byte(t.String()), nil
}

// UnmarshalText is the inverse of MarshalText.
func (t *ConditionType) UnmarshalText(b []byte) (err error) {
	*t = 0
	if len(b) > 0 {
		*t, err = ParseConditionType(string(b))
	}
	return err
}

// death reports whether the condition type tells of a death: only such a condition may restart.
func (t ConditionType) death() bool { return t == OnDeath || t == OnAbnormalDeath }

// EntityFlags modify an entity.
type EntityFlags uint32

// KeepOnDeath keeps an entity as a placeholder when its process goes away (HENTITYKEEPONDEATH). Without it it is dropped with all below it.
const KeepOnDeath EntityFlags = 1 << 0

// ConditionFlags modify a condition.
type ConditionFlags uint32

// Condition flags. Of NoWait and Independent together NoWait wins.
const (
	RearmCondition ConditionFlags = 1 << iota // keep it across a restart of the entity (HREARMAFTERRESTART); without it it is pruned
	NoWait                                    // nothing in it waits; all such conditions share one lane (HCONDNOWAIT)
	Independent                               // it has a lane of its own (HCONDINDEPENDENT)
	KeepOnEmpty                               // keep it when its last action is gone (HCONDKEEPONEMPTY)
)

// ActionFlags modify an action.
type ActionFlags uint32

// Action flags.
const (
	RearmAction ActionFlags = 1 << iota // keep it across a restart (HREARMAFTERRESTART). Without it an action of a death condition is pruned, any other kept
	OneShot                             // prune it at a restart, in whatever condition
	DoNow                               // run it once as soon as it is declared, too (HACTIONDONOW)
	BreakOnFail                         // if it fails the rest of the list is skipped (HACTIONBREAKONFAIL)
	KeepOnFail                          // keep it although it failed (HACTIONKEEPONFAIL); without it a failed action is removed
)

// Delivery says what becomes of an action whose outcome was lost with the process that was HAM.
type Delivery uint8

// Deliveries. See ActionSpec.Delivers for those of the kinds.
const (
	AsKind      Delivery = iota // what is usual for its kind
	AtMostOnce                  // it is not done again: it counts as failed, with ErrInterrupted
	AtLeastOnce                 // it is done again
)

var deliveries = [...]string{AsKind: "as kind", AtMostOnce: "at most once", AtLeastOnce: "at least once"}

// String returns the delivery in words.
func (d Delivery) String() string { return nameOf(deliveries[:], "delivery", d) }

// Kind is what an entity is at present.
type Kind uint8

// The kinds of entities.
const (
	Placeholder  Kind = iota // a name, for a process that is not there
	Attached                 // somebody else had it watched, or HAM started it
	SelfAttached             // it attached itself
	GlobalEntity             // all of them
)

var kinds = [...]string{Placeholder: "PLACEHOLDER", Attached: "ATTACHED", SelfAttached: "ATTACHEDSELF", GlobalEntity: "GLOBAL"}

// String returns the kind as QNX's /proc/ham prints it.
func (k Kind) String() string { return nameOf(kinds[:], "kind", k) }

// Phase is where the process of an entity is in its life.
type Phase uint8

// The phases.
const (
	Idle     Phase = iota // no process, and none is wanted
	Dead                  // its process died, and a restart is among the actions that run now
	Waiting               // to be started when its dependencies are ready
	Delayed               // to be started when the budget allows it
	Starting              // the order to start it is out
	Running               // it runs; Entity.Ready says whether it is ready
	Stopping              // the order to end it is out
	Stopped               // ended on request
	Failed                // it could not be started, or its budget is used up: no attempt is made by itself
)

var phases = [...]string{Idle: "idle", Dead: "dead", Waiting: "waiting", Delayed: "delayed", Starting: "starting", Running: "running", Stopping: "stopping", Stopped: "stopped", Failed: "failed"}

// String returns the phase in lower case.
func (p Phase) String() string { return nameOf(phases[:], "phase", p) }

// HeartbeatState is what is known of an entity's heartbeat.
type HeartbeatState uint8

// Heartbeat states.
const (
	Unwatched  HeartbeatState = iota // it promised none, or has no process
	Beating                          // beats come
	MissedLow                        // the low mark was passed
	MissedHigh                       // the high mark was passed: nothing is watched until it is healthy again
)

var heartbeatStates = [...]string{Unwatched: "NONE", Beating: "HEALTHY", MissedLow: "MISSEDLOW", MissedHigh: "MISSEDHIGH"}

// String returns the state as QNX's /proc/ham prints it.
func (s HeartbeatState) String() string { return nameOf(heartbeatStates[:], "heartbeat state", s) }

// Verb is a control verb.
type Verb uint8

// Control verbs: those of QNX, and for the processes that HAM runs.
const (
	Enable         Verb = iota + 1 // HENABLE
	Disable                        // HDISABLE: its actions are off, and those of everything below
	AddFlags                       // HADDFLAGS
	RemoveFlags                    // HREMOVEFLAGS
	SetFlags                       // HSETFLAGS
	GetFlags                       // HGETFLAGS: Reply.Value
	VerbositySet                   // VERBOSE_SET
	VerbosityIncr                  // VERBOSE_SET_INCR
	VerbosityDecr                  // VERBOSE_SET_DECR
	VerbosityGet                   // VERBOSE_GET: Reply.Value
	StartProcess                   // start an entity that is not running; clears its budget
	StopProcess                    // stop it, and first what depends on it
	RestartProcess                 // stop it and start it again, on purpose: the budget is not touched
	StopAll                        // stop everything that HAM runs, dependents first; ShutDown follows
)

var verbs = [...]string{
	Enable: "enable", Disable: "disable", AddFlags: "add flags", RemoveFlags: "remove flags", SetFlags: "set flags", GetFlags: "get flags",
	VerbositySet: "set verbosity", VerbosityIncr: "raise verbosity", VerbosityDecr: "lower verbosity", VerbosityGet: "get verbosity",
	StartProcess: "start", StopProcess: "stop", RestartProcess: "restart", StopAll: "stop all",
}

// String returns the verb in words.
func (v Verb) String() string { return nameOf(verbs[:], "verb", v) }

// nameOf returns the i-th of names, or a description of what has none.
func nameOf[T ~uint8](names []string, what string, i T) string {
	if int(i) < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s %d", what, uint8(i))
}

// What is the kind of a happening.
type What string

// What happens.
const (
	HasAttached   What = "attached"
	HasDetached   What = "detached"
	HasDied       What = "died"
	HasRestarted  What = "restarted" // a process runs that is not the first
	HasDelayed    What = "delayed"   // its restart has to wait
	HasGivenUp    What = "gave up"
	HasStopped    What = "stopped"
	HasMissedLow  What = "heartbeat missed low"
	HasMissedHigh What = "heartbeat missed high"
	HasRecovered  What = "heartbeat recovered"
	HasBeenReady  What = "ready"
	HasEntered    What = "state"
	HasRaised     What = "raised"
	HasFired      What = "fired" // a condition did; its actions run
	HasDone       What = "action done"
	HasFailed     What = "action failed"
	HasExceeded   What = "resource exceeded"
	HasTakenOver  What = "takeover"
	HasSwitched   What = "switch"
	HasBeenLate   What = "watcher late" // HAM itself did not run; nothing of that time counts as missed
	HasChanged    What = "changed"      // the tree was
	HasSaid       What = "status"       // STATUS= of sd_notify
)
