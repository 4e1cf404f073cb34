package core

import "time"

// Happening is one entry of the event history.
type Happening struct {
	Seq       uint64        `json:"seq"` // grows, never twice the same; with gaps
	Wall      int64         `json:"wall"`
	At        time.Duration `json:"at"` // CLOCK_MONOTONIC
	Entity    string        `json:"entity,omitempty"`
	Condition string        `json:"condition,omitempty"`
	Action    string        `json:"action,omitempty"`
	What      What          `json:"what"`
	PID       int           `json:"pid,omitempty"`
	Exit      *Exit         `json:"exit,omitempty"`
	Text      string        `json:"text,omitempty"`
}
