// Package restore measures how long a pair is without a backup, by the size of its state, and what requests feel meanwhile.
//
// Invariant: what requests feel while a backup is filled stands beside what they feel under the same load, of the same pair, for
// the same time, without filling; the two alternate.
package restore
