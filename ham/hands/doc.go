// Package hands performs what the state machine of HAM (package core) decides, and tells it what happens.
//
// Its invariant: every effect with an ID has exactly one outcome, unless it is cancelled or the Hands are closed first;
// Do never blocks, every wait has an end, and of what this process does on behalf of an entity nothing is left when the
// entity is forgotten. Programs outlive the process that started them: after Close, or a SIGKILL, other Hands in another
// process adopt them.
//
// # How it is built
//
// Deaths are noticed by one goroutine with one epoll over one pidfd for each process (watch.go, loop.go). How a process ended
// is told by waitid on that pidfd for our children, and by PIDFD_GET_INFO for those of others (exit.go). Nothing else is ever
// waited for, so package hands shares a process with any other code.
//
// What concerns one entity is done in order, in a lane of its own (lane.go); everything else, commands (command.go),
// waits (await.go), notifications (tell.go), ends (end.go), each in a goroutine of its own under its ID (op.go).
//
// A program is started (spawn.go, launch.go, exec.go) in a session of its own with exactly the descriptors meant for it.
// Nothing of it passes through memory of this process that could die with it:
//
//   - output goes to a file, or into a named pipe whose both ends the program holds, so that it sees no broken pipe while HAM
//     is being taken over (output.go, stream.go);
//   - listening sockets, the notification socket and stored descriptors are held by the other half of HAM too (held.go,
//     follow.go);
//   - HAM_SPAWN=<ID> and HAM_RUN=<directory> in its environment tell who it is (find.go), and a note does, for those that
//     overwrite that (place.go);
//   - heartbeat words are found through /proc (package beat).
//
// What is done for an owner who is not an administrator is done with his rights (rights.go).
//
// The package needs Linux 5.11 and a /proc of its own pid namespace; since 6.9 process groups are signalled without a race,
// since 6.15 exit statuses of processes of others are known.
package hands
