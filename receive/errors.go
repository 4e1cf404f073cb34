package receive

import (
	"errors"
	"fmt"
	"strings"
)

// Applied says what is known of a request that ended with an error.
type Applied uint8

const (
	// No: the request has changed nothing and never will.
	No Applied = iota
	// Maybe: the request may have been applied, or may still be.
	Maybe
)

// String returns "no" or "maybe".
func (a Applied) String() string {
	if a == No {
		return "no"
	}
	return "maybe"
}

// Error codes travel in replies, so they are never renumbered. Positive codes
// below 256 are NonStop's file-system errors, 256 to 511 belong to the
// application (Guardian Programmer's Guide 6-11), negative codes are Tandem's.
const (
	// CodeApplication is the code of a handler's error that has none of its own.
	CodeApplication = 256
	// CodeApplicationMax is the last code an application may use.
	CodeApplicationMax = 511
)

// What a call, an open or an inbox operation can end with. Compare with
// errors.Is, which looks at the code only.
var (
	// ErrInvalidOperation (2): this operation is not possible here, such as ReadUpdate with no receive depth.
	ErrInvalidOperation = sentinel(2, "invalid operation", No)
	// ErrInUse (12): the server's opener table is full.
	ErrInUse = sentinel(12, "too many openers", No)
	// ErrNotOpen (16): the Conn was closed at this end.
	ErrNotOpen = sentinel(16, "not open", No)
	// ErrTimeout (40): the caller's deadline passed.
	ErrTimeout = sentinel(40, "timed out", No)
	// ErrWrongID (60): the server knows nothing of this open: both members died and the
	// name is now a new instance. Dial again.
	ErrWrongID = sentinel(60, "the open belongs to a former instance", No)
	// ErrOwnership (200): the member that got the request is not the primary.
	ErrOwnership = sentinel(200, "not the primary", No)
	// ErrPathDown (201): nobody serves the name, or with SyncDepth(0) the primary was lost.
	ErrPathDown = sentinel(201, "nobody serves", No)
	// ErrOwnershipAborted (210): the primary changed while the request was under way.
	ErrOwnershipAborted = sentinel(210, "the primary changed during the request", Maybe)

	// ErrTooOld (-1): the request's sync ID lies behind the saved replies; it was run before or never will be.
	ErrTooOld = sentinel(-1, "sync ID too old", Maybe)
	// ErrPoison (-2): the request has killed two primaries in a row and is not run again.
	ErrPoison = sentinel(-2, "the request kills its server", No)
	// ErrNoMethod (-3): the server has no handler of this name.
	ErrNoMethod = sentinel(-3, "no such method", No)
	// ErrTooLarge (-4): the request or its reply does not fit into a packet.
	ErrTooLarge = sentinel(-4, "too large", No)
	// ErrBadRequest (-5): the server cannot read the request.
	ErrBadRequest = sentinel(-5, "malformed request", No)
	// ErrCancelled (-6): the caller gave the request up.
	ErrCancelled = sentinel(-6, "cancelled", No)
	// ErrStopping (-7): the pair is stopping as a whole.
	ErrStopping = sentinel(-7, "the pair is stopping", No)
	// ErrDepth (-8): as many requests as the receive depth allows are read and not yet answered.
	ErrDepth = sentinel(-8, "receive depth reached", No)
)

func sentinel(code int, text string, applied Applied) error {
	return &Error{Code: code, Text: text, Applied: applied}
}

// Error is how a request, an open or an inbox operation failed.
type Error struct {
	Code    int     // see CodeApplication and the sentinels
	Op      string  // what was attempted, "call transfer on bank"; empty in an error a server answers with
	Text    string  // why it failed
	Applied Applied // whether the request may have been applied
	cause   error
}

// NewError returns an error for a handler to answer with. Requesters find it
// again with errors.Is against an error of the same code. A code outside 256
// to 511 is replaced by CodeApplication.
func NewError(code int, text string) *Error {
	if code < CodeApplication || code > CodeApplicationMax {
		code = CodeApplication
	}
	return &Error{Code: code, Text: text}
}

// Error says what could not be done, why, and whether it may have been done
// all the same.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString("cannot " + e.Op + ": ")
	}
	b.WriteString(e.Text)
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	fmt.Fprintf(&b, " (error %d", e.Code)
	if e.Op != "" && e.Applied == Maybe {
		b.WriteString(", may have been applied")
	}
	b.WriteByte(')')
	return b.String()
}

// Is reports whether target is an *Error with the same code. Errors without a
// code of their own (CodeApplication) must also have the same text.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (e.Code != CodeApplication || t.Text == e.Text)
}

// Unwrap returns what ended the call on this side, such as
// context.DeadlineExceeded; nil for an error that the server answered.
func (e *Error) Unwrap() error { return e.cause }

// MayBeApplied reports whether the request behind err may have been applied.
// For an error that did not come from this package it cannot know, and says yes.
func MayBeApplied(err error) bool {
	if err == nil {
		return true
	}
	var e *Error
	return !errors.As(err, &e) || e.Applied == Maybe
}

// Describe returns the code and text with which a server answers err: zero for
// nil, its own code for an *Error, CodeApplication for anything else. An *Error
// that tells of a call to another server (Op is set) says nothing about this
// one, so its code is not passed on, only its text.
func Describe(err error) (code int, text string) {
	if err == nil {
		return 0, ""
	}
	var e *Error
	switch {
	case !errors.As(err, &e) || e.Op != "":
		return CodeApplication, err.Error()
	case error(e) == err:
		return e.Code, e.Text
	default:
		return e.Code, strings.TrimSuffix(err.Error(), fmt.Sprintf(" (error %d)", e.Code))
	}
}

// answered turns the code and text of a reply into the caller's error.
func answered(op string, code int, text string) *Error {
	e := &Error{Code: code, Op: op, Text: text}
	switch code {
	case codeOf(ErrTooOld), codeOf(ErrOwnershipAborted):
		e.Applied = Maybe
	}
	if e.Text == "" {
		e.Text = "refused"
	}
	return e
}

// failed returns a copy of the sentinel as the end of op.
func failed(op string, sentinel error, applied Applied, cause error) *Error {
	e := *sentinel.(*Error)
	e.Op, e.Applied, e.cause = op, applied, cause
	return &e
}

func codeOf(sentinel error) int { return sentinel.(*Error).Code }

var _ error = (*Error)(nil)
