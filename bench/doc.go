// Command bench measures what the issue list promises, as ratios: both sides of a ratio are measured in one run, in rounds
// that alternate, so that whatever else the machine does meets both. It judges nothing: goals are printed beside
// what was measured, and no test asserts a time.
//
//	go run ./bench VERB [--json] [--quick] [--seed N] [--pprof DIR]
//
// Each verb has a file of its own. Whatever takes part besides the measuring process itself is this program once more,
// under a hidden verb (process_*.go), in a private run directory that goes with the run.
package main
