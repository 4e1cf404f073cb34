package receive

import "time"

// Message is what an inbox delivers: a *Request, a System message, or a
// FromPrimary.
type Message interface{ message() }

// System is a message about the world of a pair. Its number is the one that
// the same message has on NonStop; below -1000 are messages that NonStop does
// not have. Only Open waits for an answer.
type System interface {
	Message
	Number() int
}

// Numbers of Tandem's own system messages. Never renumbered.
const (
	numberSynchronised = -1001
	numberSwitchedOver = -1002
	numberStopping     = -1003
)

// Role tells the two members of a pair apart.
type Role uint8

const (
	// Primary serves.
	Primary Role = iota + 1
	// Backup is ready to go on.
	Backup
)

// String returns "primary", "backup", or "none".
func (r Role) String() string {
	switch r {
	case Primary:
		return "primary"
	case Backup:
		return "backup"
	}
	return "none"
}

// ProcessDeletion (-101): a member died. The backup takes over when it was the
// primary; the primary replaces it when it was the backup. The same news may
// come twice. (Guardian Procedure Errors and Messages, -101.)
type ProcessDeletion struct {
	Who   Role
	PID   int
	Code  int    // completion code: 0 normal, 5 by itself, 6 stopped by another process, 9 a signal, -1 a trap
	Cause string // what was seen, for people
	Name  string // of the pair
}

// Overrun (-13): the inbox was read too slowly and system messages were lost.
// Ask again for all that they would have told: the registry, the openers.
type Overrun struct{ Lost int }

// Timeout (-22): a timer of this process ran out. Timers die with the primary:
// arm them again after a takeover.
type Timeout struct{ Tag int64 }

// ResetSync (-34): a requester starts its sync IDs over; Opener.Reset forgets
// what was saved for it.
type ResetSync struct{ Opener uint64 }

// Cancelled (-38): nobody waits any longer for the request with this tag. Stop
// the work if you like; the tag must still be replied to. Its absence says
// nothing about the delivery of a reply.
type Cancelled struct {
	Tag    int
	Opener uint64
	SyncID uint64
}

// Created (-102): a new backup is ready to be filled. An application that
// checkpoints by itself now sends its whole state.
type Created struct{ PID int }

// Open (-103): a requester wants to open this process. Read with ReadUpdate it
// has a tag, and the reply decides: with an error the open is refused.
type Open struct {
	Tag      int // as in Request
	Identity Identity
}

// Close (-104): an opener is gone, by itself or because its process died.
type Close struct{ Opener uint64 }

// BackupSynchronised (-1001): the backup has everything; from now on the pair is protected.
type BackupSynchronised struct{ PID int }

// SwitchedOver (-1002): the members have changed roles as planned, and this
// one now has the given role.
type SwitchedOver struct {
	Role  Role
	Epoch uint32
}

// Stopping (-1003): the pair as a whole is to stop. Finish what is under way
// until the deadline; new requests come no more.
type Stopping struct{ Deadline time.Time }

// FromPrimary is a message that the primary sent to its backup's inbox: state,
// file state or control state. Package control knows the types.
type FromPrimary struct{ Value any }

// Number is -101.
func (ProcessDeletion) Number() int { return -101 }

// Number is -13.
func (Overrun) Number() int { return -13 }

// Number is -22.
func (Timeout) Number() int { return -22 }

// Number is -34.
func (ResetSync) Number() int { return -34 }

// Number is -38.
func (Cancelled) Number() int { return -38 }

// Number is -102.
func (Created) Number() int { return -102 }

// Number is -103.
func (Open) Number() int { return -103 }

// Number is -104.
func (Close) Number() int { return -104 }

// Number is -1001.
func (BackupSynchronised) Number() int { return numberSynchronised }

// Number is -1002.
func (SwitchedOver) Number() int { return numberSwitchedOver }

// Number is -1003.
func (Stopping) Number() int { return numberStopping }

func (*Request) message()           {}
func (FromPrimary) message()        {}
func (ProcessDeletion) message()    {}
func (Overrun) message()            {}
func (Timeout) message()            {}
func (ResetSync) message()          {}
func (Cancelled) message()          {}
func (Created) message()            {}
func (Open) message()               {}
func (Close) message()              {}
func (BackupSynchronised) message() {}
func (SwitchedOver) message()       {}
func (Stopping) message()           {}

var (
	_ Message = (*Request)(nil)
	_ Message = FromPrimary{}
	_ System  = ProcessDeletion{}
	_ System  = Overrun{}
	_ System  = Timeout{}
	_ System  = ResetSync{}
	_ System  = Cancelled{}
	_ System  = Created{}
	_ System  = Open{}
	_ System  = Close{}
	_ System  = BackupSynchronised{}
	_ System  = SwitchedOver{}
	_ System  = Stopping{}
)
