// Package futex sleeps and wakes on a 32-bit word of memory that several processes have mapped.
//
// Its invariant: a waiter that calls [Wait] with the value it has just seen cannot miss a [Wake] that
// follows a change of the word, because the kernel compares the word and goes to sleep in one step.
// Wait promises nothing about why it returned, so every caller looks at its own condition again.
//
// The futexes are shared ones (without FUTEX_PRIVATE_FLAG): the kernel finds a waiter by the page of
// the file and not by the address, so two processes, or two mappings in one, meet on the same word.
package futex
