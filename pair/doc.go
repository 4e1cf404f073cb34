// Package pair runs a program as a process pair, after Tandem's NonStop: two processes under one name, a primary that
// serves and a backup that holds everything it needs to go on.
//
// Invariant: an instance of a pair has at most one primary, and a reply leaves it only after the record of its request is
// in the log which the backup has mapped. So whatever ends one member at a time, every request that was answered is in
// the state once, and every other can be repeated and is applied once.
//
// Most programs want a [Service]: handlers over tracked state, and nothing in them that says primary or backup. A [Member]
// is the layer below, for programs that checkpoint by themselves (NonStop's active backup).
//
// # How it is built
//
// A member is a state machine and a loop. The state machine (roles.go) is pure: events in, effects out. The loop (run.go)
// owns everything else, and is the only one to touch it: as primary it waits for sockets (primary.go), as backup for
// the death of the primary (backup.go), and does there what the state machine wants done:
//
//	join.go, partner.go    becoming a member; starting, admitting and giving up a backup
//	fill.go                bringing a new backup to the present state while requests go on
//	takeover.go, switch.go the change of roles, unplanned and planned
//	urgency.go             coming before the dead primary's clearing-away
//	suspect.go             requests that a primary may have died of
//	open.go, seats.go      requesters and their connections
//	link.go, page.go       what two members share: a control socket, the log, and one page of words
//	service.go, replay.go  handlers; backups that compute
//	file.go, files.go      regular files that handlers write
//	http.go, https.go      http.Handlers, on streams and over TLS
//	hand.go                pairs written by hand
//	attend.go              what a service does outside besides answering requests; requesters of other users
//	monitored.go           telling the monitor (pairmon) that the pair is there
//	upgrade.go             changing the program: successor.go its part in the members, neighbour.go what two versions share
//
// Who is primary is decided by the commit word of the log alone (package internal/checkpoint): a commit and a takeover are
// swaps of the same word. Nothing a member believes, and no message, can make two primaries.
package pair
