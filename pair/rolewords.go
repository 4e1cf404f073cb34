package pair

import (
	"fmt"
	"time"
)

// The words in which the state machine of roles.go is spoken to and answers.

// Role is what a member of a pair is at present.
type Role uint8

// The roles. A member starts as Joining and ends as Gone; the two in between may follow one another any number of times.
const (
	Joining Role = iota // admitted at most; does not hold the state yet
	Backup              // holds the state up to the last record it read
	Primary             // serves
	Gone                // leaves: stopped, deposed or dropped
)

// String returns the role in lower case.
func (r Role) String() string {
	switch r {
	case Joining:
		return "joining"
	case Backup:
		return "backup"
	case Primary:
		return "primary"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// partner is what a primary knows of its backup.
type partner uint8

const (
	alone    partner = iota // none; the next one is started at retryAt
	starting                // a process was started and has not joined yet
	filling                 // admitted; does not hold the whole state yet
	synced                  // said that it holds everything: may take over
)

// successor is a process of another program that an administrator wants to be the backup. The present backup keeps its
// place until the successor asks for it.
type successor uint8

const (
	noSuccessor successor = iota
	called                // started; has not asked to join yet
	taken                 // it is the partner now, and does not hold the whole state yet
)

// cause says why a member was given up.
type cause string

const (
	causeNone     cause = ""
	causeDeath    cause = "death"    // its process ended
	causePanic    cause = "panic"    // it announced that a handler panicked
	causeHang     cause = "hang"     // its progress counter stood still
	causeStopped  cause = "stopped"  // the same, and the kernel says that it was stopped (SIGSTOP)
	causeFull     cause = "full log" // a backup did not drain the log in time
	causeFailed   cause = "failed"   // it said so, or broke the protocol
	causeReplaced cause = "replaced" // a backup of our own made room for one started by hand, or for a successor
	causeSwitch   cause = "switch"   // planned
	causeRecalled cause = "recalled" // a successor that nobody wants any more
)

// event is something that happened. Only the fields that its kind names are set.
type event struct {
	kind  eventKind
	at    time.Duration // monotonic
	cause cause         // partnerLost, primaryLost
	proof bool          // primaryLost: dead for certain
	won   bool          // swap outcome; drained: the state is whole; fenced: it cannot run any more
	hand  bool          // join: started by hand
	seat  int           // join: which connection asks
	epoch uint32        // becamePrimary, sealed

	chosen   bool // join: it is the successor that was called
	succeeds bool // admitted: this process is a successor, and the program of the pair changes
}

type eventKind uint8

const (
	evFounded     eventKind = iota + 1 // we hold the lock: first primary of a new instance
	evAdmitted                         // the primary took us in as its backup
	evSynced                           // backup: read the record that ends the state. primary: its backup said so
	evPrimaryLost                      // cause, proof
	evFenced                           // won
	evSealed                           // won, epoch
	evDrained                          // won
	evHandedOver                       // backup: the primary handed over; the log is drained. epoch
	evPartnerLost                      // cause
	evClosed                           // won: the backup is swapped out of the log
	evSpawnFailed
	evJoin // seat, hand
	evSwitch
	evStop    // this process is asked to stop the whole pair
	evOrdered // backup: the primary stops the pair
	evTick
	evUpgrade       // a successor is wanted
	evSuccessorLost // it ended, or was given up, before it asked to join
)

// effect is something to be done, in the order given.
type effect struct {
	kind   effectKind
	seat   int
	err    error
	chosen bool // admit: it is the successor
}

type effectKind uint8

const (
	doSpawn         effectKind = iota + 1
	doAdmit                    // seat
	doRefuse                   // seat, err
	doCloseLog                 // swap the backup out; answer with evClosed
	doDropPartner              // kill and fence what was our backup; close what we hold of it
	doKill                     // SIGKILL to the primary, without waiting
	doFence                    // SIGKILL and wait; answer with evFenced
	doFenceLater               // the same without an answer that anything waits for, but file effects do
	doSeal                     // swap the word; answer with evSealed
	doDrain                    // read the log to its end; answer with evDrained
	doServe                    // we are primary: speak to requesters, go on
	doAdoptPrimary             // after a switch: the old primary becomes our backup, its state is ours
	doHandOver                 // primary: finish, swap the word for the backup, become its backup
	doRefuseSwitch             // err
	doStopPartner              // tell the backup to leave and wait for it
	doAskStop                  // ask the primary to stop the pair
	doAckSynced                // tell the primary that we hold everything
	doPublish                  // write the registry page, tell subscribers
	doLeave                    // err: why; nil when planned
	doCall                     // start a successor of the backup
	doRefuseUpgrade            // err
	doDropSuccessor            // end the successor that was called and has not joined
)
