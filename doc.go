// Package tandem is the root of a process-pair framework: a Go service runs as two processes under one name, a primary that
// serves and a backup that holds everything it needs to go on.
//
// Invariant: of every request that got a reply the effect is in the state exactly once, and there is at most one
// primary, whatever happens to one member at a time.
//
// There is nothing to import here. What a user needs is in
//
//	pair      a service as a process pair: handlers and tracked state, or by hand
//	receive   the requester's side, and the inbox
//	control   the messages of a hand-written pair
//	pairtest  killing one's own primary in a test
//
// and below them, each floor importing only from those under it:
//
//	cmd/pairmon   examples   bench               programs
//	pairtest                                     tests of pairs
//	pair                                         running a pair
//	receive   control   tracked                  what a pair exchanges and keeps
//	internal/checkpoint  wire  proc  registry  sock
//	internal/codec  futex
package tandem
