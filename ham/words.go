package ham

import "github.com/1fb4ed1c/tandem/ham/core"

// What is declared.
type (
	Entity     = core.EntitySpec    // what is watched
	Settings   = core.Settings      // how it is run and watched
	Command    = core.Command       // a program to run
	Limit      = core.Limit         // a resource limit of it
	Output     = core.Output        // where its output goes
	Socket     = core.Socket        // a listening socket that HAM holds open for it
	Heartbeat  = core.Heartbeat     // what it promises, and when that counts as broken
	Readiness  = core.Readiness     // when those that depend on it may start
	Dependency = core.Dependency    // what must be ready before it
	Budget     = core.Budget        // how often it is restarted
	Condition  = core.ConditionSpec // what may happen to it
	Match      = core.Match         // which states, types, classes and severities are meant: see Is, IsNot, Anything
	Resource   = core.Resource      // what it may use
	Action     = core.ActionSpec    // what is then done: one of the following
	Restart    = core.Restart
	Execute    = core.Execute
	WaitFor    = core.WaitFor
	Notify     = core.Notify
	Signal     = core.Signal
	Kill       = core.Kill
	KillStep   = core.KillStep
	Healthy    = core.Healthy
	Log        = core.Log
	Raise      = core.Raise // also a request
	Switch     = core.Switch
)

// What is asked for.
type (
	Path        = core.Path   // ENTITY/CONDITION/ACTION
	Handle      = core.Handle // a path, and which of those that had it one after the other: see At
	Request     = core.Request
	Attach      = core.Attach
	Detach      = core.Detach
	Declare     = core.Declare
	Remove      = core.Remove
	Control     = core.Control
	ReportState = core.ReportState
)

// What HAM tells.
type (
	Root           = core.Root   // of itself
	Record         = core.Entity // of an entity: what was declared, and what has become of it
	Process        = core.Process
	Job            = core.Job       // an action list that runs
	Happening      = core.Happening // one entry of the history
	Exit           = core.Exit      // how a process ended
	Cause          = core.Cause     // why an action is done
	Transition     = core.Transition
	Pair           = core.Pair // the state of a process pair
	PairMember     = core.PairMember
	Owner          = core.Owner
	What           = core.What
	Kind           = core.Kind
	Phase          = core.Phase
	HeartbeatState = core.HeartbeatState
)

// Words of declarations and requests.
type (
	ConditionType  = core.ConditionType
	EntityFlags    = core.EntityFlags
	ConditionFlags = core.ConditionFlags
	ActionFlags    = core.ActionFlags
	Delivery       = core.Delivery
	Verb           = core.Verb
)

// Message is what an action with Notify tells: a line for a client, a datagram, a POST. Its JSON form is the same everywhere.
type Message struct {
	Entity    string `json:"entity"` // the place of the action
	Condition string `json:"condition"`
	Action    string `json:"action"`
	Text      string `json:"text,omitempty"` // of the action
	Cause     Cause  `json:"cause"`          // what happened. Its Seq is the same when it is told twice
}

// At is the handle of an entity, or of the condition and action below it, whichever it is that has the name now. No name
// at all means HAM itself, or where it is an entity that is wanted the global one.
func At(names ...string) Handle {
	var h Handle
	for i, to := range []*string{&h.Entity, &h.Condition, &h.Action} {
		if i < len(names) {
			*to = names[i]
		}
	}
	return h
}

// Is matches these values, zero like any other.
func Is(values ...int64) Match { return Match{Values: values} }

// IsNot matches every value but these, and where a state is meant also that there is none yet.
func IsNot(values ...int64) Match { return Match{Not: true, Values: values} }

// Anything matches every value, and none yet.
func Anything() Match { return Match{Any: true} }
