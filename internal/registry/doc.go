// Package registry is the place of a pair on its host: a private directory with its lock, its socket, and a page that
// tells the truth about it without asking anybody.
//
// Invariant: the page that [Read] returns is one that was published, whole, and never older than one returned before,
// even if the publisher is killed at any instruction; and as long as one process that holds the lock of a name lives,
// no other gets it.
//
// # The run directory
//
// [Root] names it: TANDEM_DIR, else tandem under XDG_RUNTIME_DIR, else /run/tandem for root, else tandem-<uid> under
// the temporary directory. Each name has a directory there, of mode 0700:
//
//	page    what is published about the pair
//	socket  where it listens
//
// The directory itself is the lock, with flock(2), which also keeps systemd-tmpfiles from ageing what is in it. Both
// members share one open file description of it, which travels from the first to the second as SCM_RIGHTS: so the
// kernel drops the lock when both are gone, and not before. A directory that nobody holds is stale; its next holder
// goes on with it, whatever was left behind.
//
// # The page
//
// The file page has three blocks of 4096 bytes. The first begins with a word, a little-endian u64: the version of the
// page that counts (0: none yet). The others are two slots; version v is in slot v%2:
//
//	 0  magic    4 bytes  'T' 'd' 'P' 1
//	 4  length   u32      of the payload, bytes
//	 8  version  u64
//	16  crc      u32      CRC-32C of bytes 0-15 and the payload
//	20  zero     u32
//	24  payload           [Page] in msgpack, a map with named fields
//
// To publish is to write version+1 into the slot that does not count, and then the word. So a publisher which dies in
// between has changed nothing, and the slot that counts never changes while it counts: a reader that finds it damaged,
// and then the word as before, has found a damaged file. The file is written with pwrite(2) and not through a mapping,
// because a full file system answers the first with an error and the second with SIGBUS.
//
// One process publishes at a time: the primary, and a new primary only once the old one is fenced.
package registry
