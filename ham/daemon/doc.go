// Package daemon runs HAM: the state machine of package core as a process pair, with the hands of package hands.
//
// Its invariant: what HAM was asked and has answered, what it has seen, and what it has begun is in the records of its guardian
// before anything of it shows outside; and in a file before that, for the case that both die. So a SIGKILL of either half, or of both,
// at any moment loses no entity, no condition and no event that was told, and repeats no action that was not to be repeated.
//
// # How it is built
//
// Three processes: the keeper ([Keep], keeper.go), which starts HAM, reaps what has lost its parent and forwards signals, and the two
// halves of HAM, of which one is the primary and the other its guardian (half.go). The primary feeds the machine with requests
// (ask.go), and with what its hands tell; the effects are carried out after the commit (After, in half.go).
//
//	records.go       the machine's Store, in tracked state
//	journal.go       the same records in a file, for a HAM that follows after both halves have died
//	read.go, feed.go the socket for those who only look; sees.go what they may see
//	selfpair.go      what HAM knows of its own pair
//	adopt.go         pairs that run already, or say that they do
package daemon
