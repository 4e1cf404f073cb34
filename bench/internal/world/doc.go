// Package world is what a run of the benchmark leaves outside its own process: a directory of its own, and processes.
//
// Invariant: after Close nothing of it is left. Every process that the run has started, or that such a process has started,
// has been killed and reaped, and the directory is gone.
package world
