// Package ham is the client of HAM, the monitor that keeps processes and process pairs running (command pairmon).
//
// Invariant: what a client asks for is done once or refused, whatever becomes of HAM meanwhile; who follows what happens
// gets each happening once and in order, or is told that some are not kept any more; and a process that has attached itself
// stays attached for as long as it lives and wants to, through HAM's takeovers and through its restart, and notices none.
//
// # The model
//
// HAM keeps a tree of entities (what is watched), their conditions (what may happen to them) and the actions of these (what is
// then done), as QNX's High Availability Manager does; docs/ham.md says how every function of that is spelled here.
//
//	c, err := ham.Dial(ctx)
//	_, err = c.Declare(ctx, ham.Declare{Entity: &ham.Entity{
//		Name:     "cache",
//		Settings: &ham.Settings{Command: ham.Command{Argv: []string{"redis-server"}}, Start: true},
//		Conditions: []ham.Condition{{Name: "death", On: ham.OnDeath, Flags: ham.RearmCondition, Actions: []ham.Action{
//			{Name: "restart", Flags: ham.RearmAction, Restart: &ham.Restart{}},
//		}}},
//	}})
//
// To declare what is there already, and is as declared, changes nothing and is no error: programs declare what they need when
// they start.
//
// Every request has a method of its name, which takes it as a struct. What only looks (Root, Record, Follow, …) may be asked by everybody,
// changes are for the owner of an entity, and for administrators.
//
// # A process that wants to be watched
//
//	self, err := c.AttachSelf(ctx, ham.Attach{Entity: "worker", Heartbeat: &ham.Heartbeat{Period: time.Second, High: 3}})
//	for job := range jobs {
//		self.Beat()
//		work(job)
//	}
//
// # Where things are
//
//	words.go, constants.go   the vocabulary, which is that of package core
//	dial.go, patience.go     the connection, and how long it is looked for
//	ask.go                   what changes something
//	self.go, keep.go         processes that attach themselves, and stay attached
//	read.go                  what only looks
//	follow.go, watch.go      what happens, as it happens
package ham
