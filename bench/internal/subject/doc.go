// Package subject is what is measured: a small service that runs as a pair or without a backup, and a bare pair that does only
// what a takeover cannot do without; each as a process of its own, and as its client sees it.
//
// Invariant: whatever befalls a process on request (a panic, a deadlock, memory that runs out, memory that is taken) befalls the
// process with the given pid only. For every other process such a request is an ordinary one, so that it can be repeated at the
// next primary, and replayed by a backup, and changes nothing there.
package subject
