package core

import "time"

// Effect is something that the shell is to do, in the order given. Effects with an ID have an outcome, which comes back as
// Event.Spawned or Event.Done with that ID, always, once, also when the effect cannot be tried.
//
// The IDs of a HAM are never used twice, across its takeovers too. An effect that Resume gives out again has Again set
// and the ID it had: the process that was HAM may have begun it, or finished it and died before it said so.
type Effect interface{ effect() }

// Owner is on whose behalf something is done. Unless he is an administrator, hands do it with his rights only: commands run as him, and
// signals reach no process that he could not reach.
type Owner struct {
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Admin bool   `json:"admin,omitempty"`
}

// Target is a process of an entity.
type Target struct {
	Entity string
	PID    int
	Start  uint64
}

// Spawn starts the process of an entity, in a process group of its own, and watches it: Exited follows. Its environment has HAM_SPAWN=<ID>,
// by which it is found again: with Again, a live process that carries the ID is the answer.
type Spawn struct {
	ID       uint64
	Entity   string
	Command  Command
	As       Owner
	Notify   bool          // give it a notification socket (NOTIFY_SOCKET)
	Watchdog time.Duration // of a heartbeat: WATCHDOG_USEC; 0: none
	Group    bool          // what is left of its process group when it ends is killed
	Again    bool
}

// Watch has Exited told about a process that is not spawned. It is the one process of the entity: a Watch before it ends. If it is gone
// already, Exited comes at once.
type Watch struct {
	Target
	Adopted bool // it was spawned by a HAM before this one: rebuild what Spawn had set up around it
	Notify  bool // it has a notification socket
	Group   bool // as of Spawn
}

// WatchPair has PairFacts told about a process pair, at once and whenever they change, beside a Watch or Spawn of the entity.
type WatchPair struct {
	Entity string
	Pair   string
}

// Unwatch ends the Watch and the WatchPair of an entity, and the watch of a spawned process, which goes on.
type Unwatch struct {
	Entity string
}

// WatchBeats has Beats told about an entity: its word in shared memory is looked at, at least twice in each period. What is seen is told before
// a Tick, and at once if it is the first beat or may be the one that follows a mark; the rest soon.
type WatchBeats struct {
	Target
	Period time.Duration
	Mark   time.Duration // without a beat for so long the first mark is passed; 0: there is none
}

// UnwatchBeats ends it.
type UnwatchBeats struct {
	Entity string
}

// Sample has Sampled told about a process, every so often. Every 0 ends it.
type Sample struct {
	Target
	Every time.Duration
}

// Forget says that an entity has left the tree: what was held for it (listening sockets, stored descriptors, files,
// heartbeat word) is let go.
type Forget struct {
	Entity string
}

// RunCommand runs the command of an Execute or Dump action. See Execute for what Done means.
type RunCommand struct {
	ID         uint64
	Path       Path // of the action
	Cause      Cause
	Command    Command
	As         Owner
	Timeout    time.Duration // > 0; then its process group is killed, and Done has an error
	Background bool          // Done is sent when it was started; its end is waited for, within Timeout 0: without limit
	Again      bool          // with it, a live process with HAM_SPAWN=<ID> is waited for instead
}

// Await waits until something is there: see WaitFor. It has at least one of the four.
type Await struct {
	ID    uint64
	Path  Path
	For   WaitFor // the timeout is what is left of it
	As    Owner
	Again bool
}

// Cancel ends an Await, RunCommand or End whose outcome nobody waits for any more; no Done follows.
type Cancel struct {
	ID uint64
}

// Tell notifies one party. Done when it was handed over: a signal queued, a datagram or line sent, HTTP answered 2xx.
type Tell struct {
	ID     uint64
	Path   Path
	Cause  Cause
	Notify Notify // a Signal in it has its PID
	As     Owner
	Again  bool
}

// SendSignal sends a signal. Done has an error if there is no such process.
type SendSignal struct {
	ID     uint64
	Path   Path
	Signal Signal // with its PID
	As     Owner
	Again  bool
}

// End ends a process step by step. Done when it is gone, also if it was gone before; with an error if it outlived the last step.
type End struct {
	ID uint64
	Target
	Steps []KillStep
	Group bool // its process group, if it leads one
	As    Owner
	Again bool
}

// WriteLog writes a line to HAM's log.
type WriteLog struct {
	Path  Path
	Text  string
	Level int // verbosity it needed
}

// WakeAt asks for a Tick at this time, in place of the time asked for before. At < 0: none is needed.
type WakeAt struct {
	At time.Duration
}

// Reply answers a Request.
type Reply struct {
	ID      uint64
	Err     error  // nil, or one of the errors of this package, wrapped
	Handle  Handle // of what was attached or declared
	Created bool   // of what was declared or attached: it was not there before
	Value   int64  // of the verbs that get something
}

// Happened tells what is in the event history from now on, for those who follow it.
type Happened struct {
	Happening
}

// ShutDown says that everything that HAM runs has been stopped: HAM may leave.
type ShutDown struct{}

// Cause is what made a condition fire: it goes to commands and to those who are notified.
type Cause struct {
	Seq    uint64        `json:"seq"` // of the happening: the same on a repetition
	Wall   int64         `json:"wall"`
	Entity string        `json:"entity"` // to which it happened; under the global entity not that of the path
	Type   ConditionType `json:"type"`
	PID    int           `json:"pid,omitempty"`
	Exit   *Exit         `json:"exit,omitempty"`  // of a death
	Raise  *Raise        `json:"raise,omitempty"` // of a raise
	State  *Transition   `json:"state,omitempty"` // of a state
	Text   string        `json:"text,omitempty"`  // of an error, of a resource
}

// Transition is a change of the state that an entity reported.
type Transition struct {
	From  int64 `json:"from"`
	First bool  `json:"first,omitempty"` // there was no state before
	To    int64 `json:"to"`
}

func (Spawn) effect()        {}
func (Watch) effect()        {}
func (WatchPair) effect()    {}
func (Unwatch) effect()      {}
func (WatchBeats) effect()   {}
func (UnwatchBeats) effect() {}
func (Sample) effect()       {}
func (Forget) effect()       {}
func (RunCommand) effect()   {}
func (Await) effect()        {}
func (Cancel) effect()       {}
func (Tell) effect()         {}
func (SendSignal) effect()   {}
func (End) effect()          {}
func (WriteLog) effect()     {}
func (WakeAt) effect()       {}
func (Reply) effect()        {}
func (Happened) effect()     {}
func (ShutDown) effect()     {}
