// Package tracked is state that records its own changes. Its invariant: a Store that has applied, in order, what
// another Store gave out as changes, chunks and deltas is equal to it, the order of iteration included; and a call that
// was rolled back leaves no trace.
//
// A Store holds named parts: Map, Value, Counter and Queue. The primary changes them inside a call, between Begin and
// Commit or Rollback, and ships Changes; the backup gives these to Apply. A new backup is filled by a walk: NextChunk
// hands out the content piece by piece, between calls, while calls go on. A change to something that the walk has not
// reached is not shipped; its newest value comes with the walk. So what counts is only that the backup applies chunks
// and changes in the order in which they were made.
//
// The package is pure: no clock, no lock, no goroutine, no I/O. A Store belongs to one goroutine at a time.
//
// Values belong to the Store once they are set: a slice, map or pointer must not be modified in place, neither the one
// passed in nor the one read back, for nobody would see the change. Set a new one.
package tracked
