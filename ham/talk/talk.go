package talk

import (
	"context"
	"errors"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/receive"
)

const (
	// Pair is the name of the process pair that HAM is.
	Pair = "ham"
	// MethodAsk takes a core.Request without ID and By, and answers with an Answer, or one of the errors of package core.
	MethodAsk = "ask"
	// MethodPair takes an Attendance, and answers with an Answer.
	MethodPair = "pair"
	// ReadSocket is the name of the reading socket (SOCK_STREAM) in the pair's directory.
	ReadSocket = "read"
	// DoorSocket is the name of the socket for requests in a directory for other users, where the reading socket has its name too.
	DoorSocket = "ham"
	// MaxQuery bounds a Query in JSON, in bytes.
	MaxQuery = 4 << 10
)

// Answer is what a request that was granted is answered with.
type Answer struct {
	Handle  core.Handle // of what was attached or declared
	Created bool        // it was not there before
	Value   int64       // of the verbs that get something
	Client  uint64      // the client's number, for Query.Client
	Code    int         // of a refusal; 0: the request was granted
	Text    string      // of a refusal
}

// Attendance is what a process pair says of itself, under MethodPair: HAM shows it as the entity of its name, and restarts it when both
// members are gone. Package pair sends it; it has these fields there too.
type Attendance struct {
	Name  string
	PID   int // of the primary
	Start uint64
	Argv  []string // how it is started
	Env   []string
	Dir   string
}

// Query asks the reading socket for something. It is one line, and the only one of its connection.
type Query struct {
	Op     string   `json:"op"`               // one of the Op constants
	Names  []string `json:"names,omitempty"`  // of OpEntities: these; none: all
	After  uint64   `json:"after,omitempty"`  // of OpHistory: what happened after this one
	Last   int      `json:"last,omitempty"`   // of OpHistory: at most so many of what has happened; 0: all that is kept
	Follow bool     `json:"follow,omitempty"` // of OpHistory: and what happens from now on
	Client uint64   `json:"client,omitempty"` // of OpHistory: and what actions tell this client
}

// Operations of a Query, and the lines that answer each.
const (
	OpRoot     = "root"     // Root
	OpEntities = "entities" // Entity, each; an unknown name is left out
	OpRunning  = "running"  // Job, each: action lists in flight
	OpHistory  = "history"  // Happening, each, oldest first; and Told
)

// Line is one line of an answer. One of the fields is set.
type Line struct {
	Root      *core.Root      `json:"root,omitempty"`
	Entity    *core.Entity    `json:"entity,omitempty"`
	LastBeat  int64           `json:"last_beat,omitempty"` // beside Entity: Unix nanoseconds
	Job       *core.Job       `json:"job,omitempty"`
	Happening *core.Happening `json:"happening,omitempty"`
	Missed    bool            `json:"missed,omitempty"` // beside Happening: some between After and this one are not kept any more
	Told      []byte          `json:"told,omitempty"`   // what an action tells the client: a hands.Message in JSON
	Ready     bool            `json:"ready,omitempty"`  // of a Query with Follow: all that was there has been sent
	End       bool            `json:"end,omitempty"`    // the answer is complete
	Error     string          `json:"error,omitempty"`  // it will not be
}

// sentinels are the errors of package core in the order of their codes, from 1. Only append to it.
var sentinels = [...]error{core.ErrBadName, core.ErrNameTooLong, core.ErrBadSpec, core.ErrNotFound, core.ErrStale, core.ErrExists, core.ErrNotPermitted,
	core.ErrRunning, core.ErrNotRunning, core.ErrOnlyRestart, core.ErrCycle, core.ErrStopping}

// Refusal returns the answer that tells of an error of package core. It is no error of the call, for that would undo what else was due
// in the same step.
func Refusal(err error) Answer {
	for i, s := range sentinels {
		if errors.Is(err, s) {
			return Answer{Code: i + 1, Text: err.Error()}
		}
	}
	return Answer{Code: -1, Text: err.Error()}
}

// Err returns why a request was refused, or nil. errors.Is finds the sentinel of package core.
func (a *Answer) Err() error {
	switch {
	case a.Code == 0:
		return nil
	case a.Code > 0 && a.Code <= len(sentinels):
		return &refused{a.Text, sentinels[a.Code-1]}
	}
	return errors.New(a.Text)
}

// Ask sends HAM a request over a connection to its pair. The error is that of the call (package receive), or why HAM refuses it.
func Ask(ctx context.Context, ham *receive.Conn, r core.Request) (Answer, error) {
	a, err := receive.Call[Answer](ctx, ham, MethodAsk, r)
	if err != nil {
		return a, err
	}
	return a, a.Err()
}

// refused is an error that HAM answered with.
type refused struct {
	text     string
	sentinel error
}

func (r *refused) Error() string { return r.text }
func (r *refused) Unwrap() error { return r.sentinel }
