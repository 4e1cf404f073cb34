package wire

import "github.com/1fb4ed1c/tandem/internal/codec"

// The roles in which a process says Hello.
const (
	RoleRequester = "requester" // calls the pair
	RoleMember    = "member"    // wants to be its backup
	RoleAdmin     = "admin"     // commands it
)

// Hello is what a process says first on a connection.
type Hello struct {
	Role     string `msgpack:"role"`
	Name     string `msgpack:"name"`     // the pair it wants to speak to
	Depth    int    `msgpack:"depth"`    // sync depth: how many last replies the server is to keep for it
	Window   int    `msgpack:"window"`   // most calls in flight at a time
	Instance string `msgpack:"instance"` // of the pair its open was made with; empty: a new open
	Opener   uint64 `msgpack:"opener"`   // the open to resume; 0: a new one
	Cookie   uint64 `msgpack:"cookie"`   // the secret of that open
	PID      int    `msgpack:"pid"`
	Start    uint64 `msgpack:"start"` // start time of the process in clock ticks since boot: tells a recycled pid
}

// Welcome grants an open.
type Welcome struct {
	Instance string `msgpack:"instance"`
	Epoch    uint32 `msgpack:"epoch"`
	Opener   uint64 `msgpack:"opener"`
	Cookie   uint64 `msgpack:"cookie"` // to be shown when the open is resumed on another connection
	Depth    int    `msgpack:"depth"`  // sync depth that the server keeps
	PID      int    `msgpack:"pid"`    // of the primary
}

// Join is how a process asks to become the backup.
type Join struct {
	Version  int    `msgpack:"version"` // of the pair's own protocol
	PID      int    `msgpack:"pid"`
	Start    uint64 `msgpack:"start"`
	Instance string `msgpack:"instance"` // that it was started for; empty: any
	Spawned  bool   `msgpack:"spawned"`  // the primary started it; otherwise a user did
	Build    string `msgpack:"build"`    // what it computes with: members that differ in it exchange changes, not requests
	Program  string `msgpack:"program"`  // path of its executable, for people
	Schema   []byte `msgpack:"schema"`   // of the state that it can hold; empty: it does not say
}

// Admit tells the backup what it joins. The descriptor of the log comes beside it.
type Admit struct {
	Version  int    `msgpack:"version"` // of the pair's own protocol, in which the two speak; 0: 1
	Build    string `msgpack:"build"`   // what the primary computes with
	Program  string `msgpack:"program"`
	Succeed  bool   `msgpack:"succeed"` // an upgrade: the backup is to become the primary, and then to replace the other half
	Instance string `msgpack:"instance"`
	Epoch    uint32 `msgpack:"epoch"`
	Seq      uint64 `msgpack:"seq"`   // of the last record before the log's first
	PID      int    `msgpack:"pid"`   // of the primary
	Start    uint64 `msgpack:"start"` // of the primary
	TIDs     []int  `msgpack:"tids"`  // threads of the primary whose end the backup may watch for
	Openers  int    `msgpack:"openers"`

	Listen   []string `msgpack:"listen"`    // addresses that the application listens on, as it names them; their descriptors come along
	ListenAt []string `msgpack:"listen_at"` // the same, as they are
}

// Joined tells the primary what of the backup it may watch.
type Joined struct {
	TIDs []int `msgpack:"tids"`
}

// Marshal encodes the body of a frame.
func Marshal(body any) ([]byte, error) { return codec.Append(nil, body) }

// Unmarshal decodes the body of a frame into what body points to, which must be zero: fields that are missing in b stay
// as they are. What it allocates is in proportion to the length of b, whatever b says.
func Unmarshal(b []byte, body any) error { return codec.Decode(b, body) }
