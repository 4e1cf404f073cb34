package core

import "time"

// Event is something that happened, and when. Exactly one of the pointers is set. Events can be sent as msgpack.
type Event struct {
	At   time.Duration // CLOCK_MONOTONIC of the host: both halves of HAM read the same
	Wall int64         // Unix nanoseconds: for people only
	Seed uint64        // randomness: jitter is drawn from it and from nothing else

	Tick         *Tick         // the time that WakeAt asked for has come, or any other
	Request      *Request      // a client wants something; answered by exactly one Reply
	Disconnected *Disconnected // a client's connection has ended
	Spawned      *Spawned      // outcome of Spawn
	Done         *Done         // outcome of every other effect with an ID
	Exited       *Exited       // a watched process has ended
	Beats        *Beats        // heartbeats were seen
	Notified     *Notified     // an entity spoke sd_notify(3)
	Sampled      *Sampled      // the resources of an entity were read
	Pair         *PairFacts    // what is known of an entity that is a process pair
	Self         *SelfFacts    // what is known of HAM's own pair
	Resumed      *Resumed      // this process has become HAM: it has the state, and hands that hold nothing yet
}

// Tick tells only that time has passed. Every event does. Before a Tick the heartbeat words are looked at, and Beats comes
// first: so no beat counts as missed that is there to be seen.
type Tick struct{}

// Disconnected says that the connection of a client has ended, with or without a word.
type Disconnected struct {
	Client uint64 // its Opener
}

// Spawned is the outcome of Spawn: a process, or an error.
type Spawned struct {
	ID    uint64 // of the effect
	PID   int
	Start uint64 // clock ticks since boot
	Err   string // "": it runs
	Retry bool   // of an error: it may go away by itself (EAGAIN, ENOMEM, EMFILE), so it is tried again within the budget
}

// Done is the outcome of an effect with an ID other than Spawn.
type Done struct {
	ID   uint64
	Err  string // "": it succeeded
	Exit *Exit  // of a command that ended: how
}

// Exited says that a process is gone: the one that was spawned or watched under the entity's name. News of another
// process than the present one is ignored.
type Exited struct {
	Entity string
	PID    int
	Start  uint64
	Exit   Exit
}

// Exit is how a process ended.
type Exit struct {
	Known  bool `json:"known"`            // false: it was not our child and the kernel does not tell (before PIDFD_INFO_EXIT)
	Code   int  `json:"code,omitempty"`   // exit status, if no signal ended it
	Signal int  `json:"signal,omitempty"` // that ended it; 0: it exited
	Core   bool `json:"core,omitempty"`   // it dumped core (WCOREDUMP)
}

// Beats are the entities of which a heartbeat was seen since the last look; one scan of all words is one event.
type Beats struct {
	Entities []string
	Seen     []time.Duration // CLOCK_MONOTONIC of each; nil: now
}

// Notified is one message of an entity in the protocol of sd_notify(3). Fields may come together.
type Notified struct {
	Entity    string
	PID       int           // who sent it (SCM_CREDENTIALS); only the entity's process group is listened to, which hands check
	Ready     bool          // READY=1
	Reloading bool          // RELOADING=1: not ready, and no heartbeat is missed, until READY=1
	Stopping  bool          // STOPPING=1: its end is planned by itself; no heartbeat is missed any more
	Watchdog  bool          // WATCHDOG=1: a heartbeat
	Trigger   bool          // WATCHDOG=trigger: counts as the high mark at once
	Extend    time.Duration // EXTEND_TIMEOUT_USEC=: nothing is missed, and its start does not time out, for so long
	HasStatus bool
	Status    string // STATUS=
	MainPID   int    // MAINPID=, with its start time: from now on this process is watched. 0: no change
	MainStart uint64
	FDs       []string // FDSTORE=1 with FDNAME=: names of descriptors that hands hold for it now, all of them
	HasFDs    bool
}

// Sampled is what a process used at one look.
type Sampled struct {
	Entity string
	PID    int
	Start  uint64
	RSS    int64   // resident bytes
	CPU    float64 // processors in use since the look before; 1 is a whole one
	FDs    int     // open descriptors
}

// PairFacts is what the registry tells of a process pair. Hands send it when it changes.
type PairFacts struct {
	Entity string
	Pair   Pair
}

// Pair is the present state of a process pair.
type Pair struct {
	Instance  string       `json:"instance,omitempty"` // changes when the pair was founded anew
	Epoch     uint32       `json:"epoch"`
	Members   []PairMember `json:"members,omitempty"` // primary first
	Takeovers uint64       `json:"takeovers"`         // unplanned changes of roles in this instance
	Switches  uint64       `json:"switches"`          // planned ones
	Gone      bool         `json:"gone"`              // both members are dead
	Stopped   bool         `json:"stopped"`           // and were stopped on purpose
}

// PairMember is one process of a pair.
type PairMember struct {
	PID          int    `json:"pid"`
	Start        uint64 `json:"start"`
	Role         string `json:"role"`         // "primary", "backup", "joining"
	Synchronised bool   `json:"synchronised"` // holds all state: may take over
}

// SelfFacts is what HAM knows of its own pair.
type SelfFacts struct {
	PID          int  // of HAM
	GuardianPID  int  // of its backup; 0: none yet
	GuardianDied bool // the guardian before this one did not leave on purpose
}

// Resumed makes a machine that was given the state of another go on: the effects of it set the hands to work again.
// It must be the first event of such a machine.
type Resumed struct {
	PID     int  // of this process
	Planned bool // a switch or an upgrade: HAM did not fail
	Anew    bool // both halves were gone: clients have other numbers now, and those who had attached themselves come back or do not
}
