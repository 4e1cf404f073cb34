// Package contrast measures what one client sees of the end of a primary: of a pair's, of a bare pair's, and of a program's that
// waits for end-of-file.
//
// Invariant: the kinds alternate in one run, and every gap is of a client that has one request outstanding at any time (a
// closed loop), so that a gap is the way of one request through the takeover and nothing else.
package contrast
