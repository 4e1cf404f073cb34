package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// Kind says what a frame means. Numbers are never reused: new kinds are appended.
type Kind uint8

// The kinds. What each carries stands in the package's documentation.
const (
	KindHello   Kind = 1  // a connection's first frame: who speaks
	KindWelcome Kind = 2  // the open is granted
	KindRefuse  Kind = 3  // the open is not granted
	KindRequest Kind = 4  // a call
	KindCancel  Kind = 5  // the requester no longer waits for a call
	KindReply   Kind = 6  // a call's result
	KindNotice  Kind = 7  // the speaker is the new primary
	KindBye     Kind = 8  // the speaker closes the connection in good order
	KindJoin    Kind = 9  // a process asks to become the backup
	KindAdmit   Kind = 10 // it may: here is the log
	KindJoined  Kind = 11 // it has the log
	KindSynced  Kind = 12 // it holds the whole state
	KindPassFD  Kind = 13 // a requester's connection, for the backup to hold as well
	KindStop    Kind = 14 // the whole pair ends
	KindLog     Kind = 15 // the log to read from now on
	KindPing    Kind = 16 // is anybody there
)

// String is the kind's name, for logs and errors.
func (k Kind) String() string {
	names := [...]string{
		KindHello: "hello", KindWelcome: "welcome", KindRefuse: "refuse", KindRequest: "request", KindCancel: "cancel",
		KindReply: "reply", KindNotice: "notice", KindBye: "bye", KindJoin: "join", KindAdmit: "admit",
		KindJoined: "joined", KindSynced: "synced", KindPassFD: "pass descriptor", KindStop: "stop", KindLog: "log",
		KindPing: "ping",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// FlagPlanned on a Notice: the roles changed by a planned switch, so no request was lost and none needs to be sent again.
const FlagPlanned = 1 << 0

// MaxMethod is the longest method name a frame can carry, in bytes.
const MaxMethod = 255

const (
	frameHeader = 24
	align       = 8
)

// Frame is one message of a packet. Method and Body of a frame that was read alias its packet.
type Frame struct {
	Kind     Kind
	Flags    uint8
	Priority uint8  // of a request; higher is served first
	ID       uint64 // sync ID
	Low      uint64 // lowest unanswered sync ID of a Request, code of a Reply, Refuse or Bye
	Method   []byte
	Body     []byte
}

// Code is the outcome that a Reply, Refuse or Bye carries in Low: 0 is success, negative codes are the system's own.
func (f *Frame) Code() int64 { return int64(f.Low) }

// AppendSize is the number of bytes that [Append] adds for f.
func AppendSize(f *Frame) int {
	return (frameHeader + len(f.Method) + len(f.Body) + align - 1) &^ (align - 1)
}

// Fits tells whether f may be appended to pkt, which starts at its header, without exceeding [MaxPacket].
func Fits(pkt []byte, f *Frame) bool { return len(pkt)+AppendSize(f) <= MaxPacket }

// Append adds f to the packet that [Begin] began. It does not know where the packet starts: ask [Fits] before adding
// to a packet that has frames already. A frame alone always fits. The error is ErrTooLong, for a method above
// [MaxMethod] or a body above [MaxBody]; dst is then returned as it was.
func Append(dst []byte, f *Frame) ([]byte, error) {
	if len(f.Method) > MaxMethod || len(f.Body) > MaxBody {
		return dst, errFrameTooLong(f)
	}
	at, n := len(dst), AppendSize(f)
	dst = slices.Grow(dst, n)[:at+n]
	b := dst[at:]
	b[0], b[1], b[2], b[3] = byte(f.Kind), f.Flags, byte(len(f.Method)), f.Priority
	binary.LittleEndian.PutUint32(b[4:], uint32(len(f.Body)))
	binary.LittleEndian.PutUint64(b[8:], f.ID)
	binary.LittleEndian.PutUint64(b[16:], f.Low)
	end := frameHeader
	end += copy(b[end:], f.Method)
	end += copy(b[end:], f.Body)
	clear(b[end:]) // dst may hold an older packet here
	return dst, nil
}

func errFrameTooLong(f *Frame) error {
	return fmt.Errorf("cannot append a frame: %w: method of %d bytes (at most %d), body of %d (at most %d)",
		ErrTooLong, len(f.Method), MaxMethod, len(f.Body), MaxBody)
}
