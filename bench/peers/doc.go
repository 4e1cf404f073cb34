// Command peers has everything else do what a process pair does, beside it, in one run: keep a counter behind a name through
// kill -9 of the process that serves it (failover), and make a small update safe on a second holder (throughput).
//
//	cd bench/peers && go run . [--quick] [--json] [--seed N] [--only NAME,…] [--kills N]
//
// Invariant: an addition counts as acknowledged only when its client was told so, and after every kill the count is held against
// what was acknowledged: what is missing is lost, what is there twice is doubled, and both are reported. A time without that
// check is never reported. What is not installed is named, with the package that brings it.
//
// It is a module of its own, so that nobody who uses the framework gets the modules of its peers. Each contestant has a file of
// its own. The processes of raft, etcd, gRPC and NATS are this program once more, under a hidden verb; those whose start is
// measured, or whose size would be, are the program in small.
package main
