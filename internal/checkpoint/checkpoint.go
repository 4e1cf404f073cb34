package checkpoint

import (
	"errors"
	"strconv"
	"time"
)

// Errors of this package, for errors.Is.
var (
	// ErrSealed: the reader has taken over, by its own swap or by a hand-over. Nothing that was not
	// committed before is in the log, so whoever gets this must not reply to anybody.
	ErrSealed = errors.New("log is sealed: the other member has taken over")
	// ErrClosed: the writer has swapped the reader out, so the reader can never take over.
	ErrClosed = errors.New("log is closed by its writer")
	// ErrFull: the reader has not released enough of the ring. It is back-pressure, not damage.
	ErrFull = errors.New("log is full")
	// ErrTooLarge: the payload is longer than the longest record, a quarter of the ring.
	ErrTooLarge = errors.New("record is too large for the log")
	// ErrCorrupt: the log holds what its writer cannot have written. Nothing after this point can be trusted.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrNotLog: the descriptor given to Open is no log, or one of another version, or a damaged one.
	ErrNotLog = errors.New("not a checkpoint log")
	// ErrInUse: the log has, or had, its one writer or its one reader.
	ErrInUse = errors.New("log is already in use")
	// ErrBadKind: kind 0 marks memory that was never written and so cannot be the kind of a record.
	ErrBadKind = errors.New("kind 0 is no kind of record")
)

// Kind says what the payload of a record is; the owner of the log gives it meaning. 0 is not a kind.
type Kind uint8

// Record is one entry of a log.
type Record struct {
	Kind    Kind
	Epoch   uint32 // of the log, in full
	Seq     uint64 // one more than that of the record before
	Payload []byte // lies in the ring: valid until Release
}

// Appender is the primary's side of a log. Its methods are for one goroutine, except that Close, HandOver and
// TakeBack may be called from any at any time.
type Appender interface {
	// Reserve adds a record to the pending batch and returns the room for its payload of n bytes, which the caller fills
	// before its next call. The room holds arbitrary bytes.
	// Errors: ErrFull, ErrTooLarge, ErrSealed, ErrClosed, ErrBadKind; the batch stays as it was.
	Reserve(kind Kind, n int) ([]byte, error)
	// Append adds a record with a copy of payload to the pending batch and commits the batch. If the record does not fit,
	// the batch stays pending. Errors: those of Reserve and of Commit.
	Append(kind Kind, payload []byte) error
	// Commit publishes every reserved record at once: all of them are safe when it returns nil, and
	// none of them is in the log otherwise. With nothing reserved it only says whether the log is still open.
	// Errors: ErrSealed (the caller must not reply), ErrClosed, ErrCorrupt; each is final.
	Commit() error
	// Discard drops every record that was reserved since the last Commit.
	Discard()
	// Free returns how many bytes of payload fit into the ring now, besides the pending batch. One
	// record takes MaxPayload of them at most, and 24 to 31 bytes besides its payload.
	Free() int
	// WaitFree wakes the reader and waits until a payload of n bytes fits besides the pending batch.
	// Errors: ErrFull at the timeout (at once if timeout <= 0, or if the pending batch itself is in the way),
	// ErrTooLarge, and those of Commit if the log ceases to be open.
	WaitFree(n int, timeout time.Duration) error
	// Seq returns the sequence number of the last committed record; one less than the first before any.
	Seq() uint64
	// MaxPayload returns the length of the longest payload, in bytes.
	MaxPayload() int
	// Close swaps the reader out: after nil the reader can never take over, and nothing more can be committed.
	// ErrSealed: it already has. Idempotent.
	Close() error
	// HandOver gives the reader its place: the log ends after the last committed record and the reader is the
	// primary of the next epoch once it confirms. ErrSealed: the reader has the place for good. ErrClosed: it was swapped
	// out. Idempotent until the reader confirms.
	HandOver() error
	// TakeBack undoes a hand-over that the reader has not confirmed, and returns the epoch in which the writer is primary
	// again: two after the log's. ErrSealed: the reader has confirmed.
	TakeBack() (epoch uint32, err error)
}

// Reader is the backup's side of a log. Its methods are for one goroutine, except that State, Seal, Confirm and
// Napping may be called from any at any time.
type Reader interface {
	// Next returns the next committed record. io.EOF: there is none yet, or, after a swap, none ever.
	// ErrCorrupt is sticky. It never waits.
	Next() (Record, error)
	// Release gives everything that Next returned back to the writer and wakes a writer that waits for it.
	Release()
	// Seal swaps the commit word to the next epoch and returns that epoch. What Next returns from then on
	// until io.EOF is everything that was ever committed. After a hand-over it returns the new epoch too, but the
	// reader must not serve in it before Confirm. Idempotent.
	// ErrClosed: the writer swapped the reader out. ErrCorrupt: the word makes no sense; do not take over.
	Seal() (epoch uint32, err error)
	// Confirm makes a hand-over final: the writer cannot take its place back any more. ErrClosed: it already has.
	Confirm() error
	// State tells what became of the log.
	State() State
	// Unread returns the committed bytes, headers included, that Next has not returned.
	Unread() int
	// Napping tells the writer that the reader is about to sleep for long (true) or that it is awake, so that the writer
	// rings once when more than 32 KiB are unread. The writer finds out at one of its next 64 records: look at Unread
	// after Napping(true).
	Napping(bool)
}

// State is what became of a log, as its commit word says. Live is the first of all; HandedOver may still become Sealed or TakenBack; the others are final.
type State uint8

// The states of a log.
const (
	Live       State = iota // the writer may commit
	Sealed                  // the reader took over
	HandedOver              // the writer gave its place to the reader
	Closed                  // the writer swapped the reader out
	TakenBack               // handed over, and taken back by the writer: see TakeBack
	Broken                  // the word holds what neither side can have written
)

var stateNames = [...]string{"live", "sealed", "handed over", "closed", "taken back", "broken"}

// String returns the state in words.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}
