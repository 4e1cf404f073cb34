// Command bench measures what Tandem promises, as ratios: both sides of a ratio are measured in one run, in rounds
// that alternate, so that whatever else the machine does meets both. It judges nothing: goals are printed beside
// what was measured, and no test asserts a time.
//
//	go run ./bench VERB [--json] [--quick] [--seed N] [--pprof DIR]
//
// One verb counts instead: survive has clients that know nothing of pairs use the examples while their primary is killed, and fails
// if one of them notices.
//
// Each verb is a package of its own under internal, which says in its first lines what it keeps to; main.go lists them. Whatever takes part
// besides the measuring process itself is this program once more, under a hidden verb, or, for survive, an example of this module or
// a client as it is installed. All of it happens in a private run directory that goes with the run.
package main
