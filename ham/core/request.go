package core

// Request is what a client wants. Exactly one of the pointers is set.
type Request struct {
	ID uint64 // comes back in the Reply
	By Peer   // who asks

	Attach  *Attach
	Detach  *Detach
	Declare *Declare
	Remove  *Remove
	Control *Control
	State   *ReportState
	Raise   *Raise
	Beat    *Beat
}

// Peer is a client, as its socket's credentials tell.
type Peer struct {
	Client uint64 // Opener of its connection
	PID    int
	UID    uint32
	GID    uint32
	Admin  bool // may do everything: root, or the user that HAM runs as
}

// Attach puts a process under watch. The entity is created if need be.
type Attach struct {
	Entity    string
	Self      bool   // the process is the client itself; without it Beats are not expected from the client
	PID       int    // 0: HAM starts the command
	Start     uint64 // start time of PID: hands or handler looked it up
	Flags     *EntityFlags
	Settings  *Settings  // nil: those it has
	Heartbeat *Heartbeat // nil: that of the settings
}

// Detach ends the watch of an entity. The entity goes, or stays as a placeholder with KeepOnDeath. One that attached itself
// is detached by itself, or by an administrator.
type Detach struct {
	Path Handle
	Stop bool // end its process first; without it the process is left alone
}

// Declare makes sure that something is in the tree and is as given. What is there already and equal is no error.
// One of Spec, Condition, Action and Fail says what.
type Declare struct {
	Path      Handle         // where it belongs: of an entity zero, of a condition its entity, of an action its condition, of a fail action its action
	Entity    *EntitySpec    // with all below it
	Condition *ConditionSpec // with its actions
	Action    *ActionSpec
	Fail      *ActionSpec // an item of the fail list
	Exact     bool        // what is below and not in the declaration is removed: for the reload of a file
	Create    bool        // refuse what exists (ErrExists), as QNX does
}

// Remove takes something out of the tree, with all below it. An entity that runs is refused (ErrRunning) unless Stop is set.
type Remove struct {
	Path Handle
	Fail string // the item of this name in the fail list of the action, instead of the action
	Stop bool   // end the process of the entity first, and what depends on it
}

// Control is a control verb.
type Control struct {
	Path    Handle // zero: HAM itself
	Verb    Verb
	Flags   uint32 // of the flag verbs, in the words of the level: EntityFlags, ConditionFlags, ActionFlags
	Recurse bool   // of Enable and Disable: everything below too
	Value   int    // of the verbosity verbs
}

// ReportState says which state an entity has entered. HAM neither interprets nor checks it.
type ReportState struct {
	Entity Handle
	State  int64
}

// Beat is a heartbeat sent as a message. It is refused, never ignored, if the entity promised none or is not the client.
type Beat struct {
	Entity Handle
}
