// Package fault does to the primary of a live pair what ends or halts a process in earnest.
//
// Invariant: a fault befalls the process that was primary when it was prepared, and no other. The moment that Strike returns is
// taken right before the system call or the request that does it.
package fault
