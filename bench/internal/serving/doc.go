// Package serving measures what protection costs before anything fails: the service as a pair, in every mode, against the same
// service without a backup; and one connection with many requests in flight against a bare echo server on the same kind of
// socket.
//
// Invariant: every server is a process of its own, this process is the client of all of them, and they take turns, each time
// another one first. A ratio is the median of the ratios of the rounds.
package serving
