package subject

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/1fb4ed1c/tandem/pair"
)

// On a stream a request is a key and a number of steps, and its reply what came of them: integers of 8 bytes.
const (
	streamRequest = 16
	streamReply   = 8
)

// protocol serves clients that know nothing of pairs with the same work.
func protocol(work func(Work) uint64) pair.Protocol {
	return pair.Protocol{
		Cut: func(b []byte) (int, error) {
			if len(b) < streamRequest {
				return 0, nil
			}
			return streamRequest, nil
		},
		Handle: func(_ *pair.Call, req, dst []byte) ([]byte, error) {
			w := Work{Key: uint32(binary.LittleEndian.Uint64(req)), Spins: binary.LittleEndian.Uint64(req[8:])}
			return binary.LittleEndian.AppendUint64(dst, work(w)), nil
		},
	}
}

// Stream is a plain TCP connection to the service.
type Stream struct {
	conn   net.Conn
	within time.Duration
}

// DialStream connects. No reply may take longer than within.
func DialStream(addr string, within time.Duration) (*Stream, error) {
	c, err := net.DialTimeout("tcp", addr, within)
	if err != nil {
		return nil, err
	}
	return &Stream{c, within}, nil
}

// Work makes one request.
func (s *Stream) Work(w Work) error {
	var b [streamRequest]byte
	binary.LittleEndian.PutUint64(b[:], uint64(w.Key))
	binary.LittleEndian.PutUint64(b[8:], w.Spins)
	if err := s.conn.SetDeadline(time.Now().Add(s.within)); err != nil {
		return err
	}
	if _, err := s.conn.Write(b[:]); err != nil {
		return err
	}
	for n := 0; n < streamReply; {
		more, err := s.conn.Read(b[n:streamReply])
		if n += more; err != nil && n < streamReply {
			return err
		}
	}
	return nil
}

// Close ends the connection.
func (s *Stream) Close() error { return s.conn.Close() }
