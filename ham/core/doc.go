// Package core is the state machine of HAM: events in, effects out. Its invariant: a Machine that is given the records of another,
// after any event, and Resumed goes on where that one stopped. Of every action list it does what is left, in order: the action
// that was under way a second time if it is delivered at least once, not again if at most once, and every other exactly once.
//
// It is pure: no clock, no I/O, no goroutine, no lock, no randomness but [Event].Seed; the same events make the same records and
// the same effects in the same order. Whoever runs it makes the records safe before he carries the effects out, and tells
// the outcome of each effect that has an ID as an event.
//
// What else holds after every event, whatever the order of events:
//
//   - an entity has one process at most, and it is never started while one of its processes is known to run;
//   - a lane runs one action list at a time, first come first served; there are at most two lanes more than conditions with
//     [Independent]; a list whose restart has to wait stands aside, and goes on before those that came later;
//   - an entity is not restarted beyond its [Budget];
//   - a request that is refused has changed nothing;
//   - nobody waits for what will not come: whoever waits, waits for an effect that is under way, for a time that WakeAt has asked
//     for, or for an entity that is not ready.
//
// # Where things are
//
//	event.go, request.go, effect.go     what goes in and comes out
//	spec.go, words.go, path.go          what users declare
//	check.go, checkaction.go            what they may not
//	records.go, store.go                what is kept
//	machine.go, timers.go, resume.go    one step; time; a machine that goes on for another
//	serve.go, tree.go, attach.go        requests
//	access.go                           who may ask for what
//	process.go, exit.go, restart.go     the life of a process
//	deps.go, budget.go                  what it waits for
//	ready.go, heartbeat.go, sample.go   what is seen of it
//	pairs.go                            entities that are process pairs
//	condition.go, state.go              which conditions fire
//	schedule.go, action.go              in which order their actions run, and what each does
//
// The rules follow QNX's High Availability Manager; docs/ham.md has the table of its functions, and says where we differ.
package core
