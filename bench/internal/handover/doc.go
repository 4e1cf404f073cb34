// Package handover measures what it costs a primary to hand a checkpoint to its backup: appended to the log; copied into the same
// kind of memory with nothing but one atomic store; written to a unix socket, and to a TCP socket over loopback.
//
// Invariant: the backup, a process of its own, drains all of them every millisecond, nobody is woken, and no way ever waits for
// room while it is timed: so a figure is what the primary spends, and nothing else.
package handover
