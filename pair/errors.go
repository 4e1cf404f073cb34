package pair

import "errors"

// What ends a member, or refuses what was asked of it. All are found with errors.Is.
var (
	// ErrThirdMember refuses a process that wants to join a pair which has both its members.
	ErrThirdMember = errors.New("the pair already has a primary and a backup")
	// ErrNotPrimary refuses what only the primary can do.
	ErrNotPrimary = errors.New("this member is not the primary")
	// ErrNotSynchronised means that no member holds the whole state: a switch is refused, a takeover is not made
	// (NonStop's double failure: half a state must not serve).
	ErrNotSynchronised = errors.New("the backup does not hold the whole state")
	// ErrDropped ends a backup that its primary has given up: it was too slow, or made room for another.
	ErrDropped = errors.New("the primary gave this backup up")
	// ErrDeposed ends a primary whose backup has taken over.
	ErrDeposed = errors.New("the backup has taken over from this primary")
	// ErrStopping refuses what comes while the pair is being stopped.
	ErrStopping = errors.New("the pair is stopping")
	// ErrNotFenced means that a process could not be proven dead; nothing is taken over from it.
	ErrNotFenced = errors.New("the other member cannot be fenced")
	// ErrNotRunning means that no pair of that name runs.
	ErrNotRunning = errors.New("no such pair is running")
	// ErrVersion refuses a member or requester that speaks a version of the protocol which is not a neighbour of ours.
	ErrVersion = errors.New("unknown protocol version")
	// ErrUpgrading refuses a switch, or another upgrade, while one is under way.
	ErrUpgrading = errors.New("an upgrade of the pair is under way")
	// ErrProgram ends an upgrade whose program could not take over. The pair goes on with the program it had.
	ErrProgram = errors.New("the new program cannot take over")
)
