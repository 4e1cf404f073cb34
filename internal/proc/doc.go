// Package proc watches, fences and starts processes.
//
// Its invariant: a process is named by pid and start time together, so nothing
// here ever signals, fences or believes a process that merely got a recycled
// pid; and a process counts as fenced only when no thread of it can run another
// instruction in user mode.
//
// Death is told by a [Beacon] through a [Cell] of shared memory: a robust futex,
// which the kernel marks and wakes before it frees the memory of the dying
// process. That makes it a trigger as fast for a process of 4 GiB as for one of
// 10 MiB, but only a trigger: other threads of the dying process may still run.
// The proof is [Process.Fence].
//
// The package needs Linux 5.11 and a /proc of its own pid namespace. It takes
// no lock that a stopped or dying process could hold.
package proc
