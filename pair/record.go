package pair

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
)

// Kinds of records in the checkpoint log. Append only: members of neighbouring versions read each other's. A record of fixed
// size may grow at its end: who reads it leaves alone what it does not know. One that ends with bytes of any length
// cannot; a new kind takes its place.
const (
	kindSchema  checkpoint.Kind = iota + 1 // names and kinds of the tracked state; begins the filling of a backup
	kindChunk                              // part of the tracked state
	kindOpen                               // an open of a requester, with its saved replies
	kindClose                              // the end of one
	kindSynced                             // everything before this is the whole state
	kindCommit                             // one request: changes and reply (PrimaryComputes)
	kindRequest                            // one request: itself (BackupComputes)
	kindDelta                              // BackupComputes, lazily: changes that stand for all requests so far
	kindUpdate                             // a checkpoint of a hand-written pair
	kindStop                               // the pair stops
	kindStream                             // a client's connection, or more of one
	kindInput                              // the beginning of a request in a stream
)

var errMalformedRecord = errors.New("malformed record")

// commitRecord is one request handled: who asked, under which sync ID, what was answered, what changed.
type recordKind = checkpoint.Kind

type commitRecord struct {
	opener, id, low uint64
	code            int64
	reply, changes  []byte
}

const commitHeader = 8 + 8 + 8 + 8 + 4 + 4

func (c *commitRecord) size() int { return commitHeader + len(c.reply) + len(c.changes) }

// put encodes the record into b, which has room for size() bytes.
func (c *commitRecord) put(b []byte) {
	_ = b[:commitHeader]
	binary.LittleEndian.PutUint64(b[0:], c.opener)
	binary.LittleEndian.PutUint64(b[8:], c.id)
	binary.LittleEndian.PutUint64(b[16:], c.low)
	binary.LittleEndian.PutUint64(b[24:], uint64(c.code))
	binary.LittleEndian.PutUint32(b[32:], uint32(len(c.reply)))
	binary.LittleEndian.PutUint32(b[36:], 0)
	n := copy(b[commitHeader:], c.reply)
	copy(b[commitHeader+n:], c.changes)
}

func (c *commitRecord) parse(b []byte) error {
	if len(b) < commitHeader {
		return fmt.Errorf("cannot read commit: %d bytes, expected at least %d: %w", len(b), commitHeader, errMalformedRecord)
	}
	c.opener = binary.LittleEndian.Uint64(b[0:])
	c.id = binary.LittleEndian.Uint64(b[8:])
	c.low = binary.LittleEndian.Uint64(b[16:])
	c.code = int64(binary.LittleEndian.Uint64(b[24:]))
	n := uint64(binary.LittleEndian.Uint32(b[32:]))
	b = b[commitHeader:]
	if n > uint64(len(b)) {
		return fmt.Errorf("cannot read commit: reply of %d bytes, %d are left: %w", n, len(b), errMalformedRecord)
	}
	c.reply, c.changes = b[:n], b[n:]
	return nil
}

// requestRecord is one request to be handled by the backup as well, with all that its handler may not ask the world for.
type requestRecord struct {
	opener, id, low uint64
	wall            int64 // Unix nanoseconds
	mono            int64 // nanoseconds of CLOCK_MONOTONIC
	seed            uint64
	method, body    []byte
}

const requestHeader = 8*6 + 4 + 4

func (r *requestRecord) size() int { return requestHeader + len(r.method) + len(r.body) }

func (r *requestRecord) put(b []byte) {
	_ = b[:requestHeader]
	binary.LittleEndian.PutUint64(b[0:], r.opener)
	binary.LittleEndian.PutUint64(b[8:], r.id)
	binary.LittleEndian.PutUint64(b[16:], r.low)
	binary.LittleEndian.PutUint64(b[24:], uint64(r.wall))
	binary.LittleEndian.PutUint64(b[32:], uint64(r.mono))
	binary.LittleEndian.PutUint64(b[40:], r.seed)
	binary.LittleEndian.PutUint32(b[48:], uint32(len(r.method)))
	binary.LittleEndian.PutUint32(b[52:], 0)
	n := copy(b[requestHeader:], r.method)
	copy(b[requestHeader+n:], r.body)
}

func (r *requestRecord) parse(b []byte) error {
	if len(b) < requestHeader {
		return fmt.Errorf("cannot read request: %d bytes, expected at least %d: %w", len(b), requestHeader, errMalformedRecord)
	}
	r.opener = binary.LittleEndian.Uint64(b[0:])
	r.id = binary.LittleEndian.Uint64(b[8:])
	r.low = binary.LittleEndian.Uint64(b[16:])
	r.wall = int64(binary.LittleEndian.Uint64(b[24:]))
	r.mono = int64(binary.LittleEndian.Uint64(b[32:]))
	r.seed = binary.LittleEndian.Uint64(b[40:])
	n := uint64(binary.LittleEndian.Uint32(b[48:]))
	b = b[requestHeader:]
	if n > uint64(len(b)) {
		return fmt.Errorf("cannot read request: method of %d bytes, %d are left: %w", n, len(b), errMalformedRecord)
	}
	r.method, r.body = b[:n], b[n:]
	return nil
}

// syncedRecord ends the filling of a backup.
type syncedRecord struct {
	lastOpener uint64 // highest ID ever given
	requests   uint64 // handled so far
	counts     counts
}

const syncedSize = 8 * 4

func (r *syncedRecord) put(b []byte) {
	_ = b[:syncedSize]
	binary.LittleEndian.PutUint64(b[0:], r.lastOpener)
	binary.LittleEndian.PutUint64(b[8:], r.requests)
	binary.LittleEndian.PutUint64(b[16:], r.counts.takeovers)
	binary.LittleEndian.PutUint64(b[24:], r.counts.switches)
}

func (r *syncedRecord) parse(b []byte) error {
	if len(b) < syncedSize {
		return fmt.Errorf("cannot read the end of the state: %d bytes, expected %d: %w", len(b), syncedSize, errMalformedRecord)
	}
	r.lastOpener = binary.LittleEndian.Uint64(b[0:])
	r.requests = binary.LittleEndian.Uint64(b[8:])
	r.counts.takeovers = binary.LittleEndian.Uint64(b[16:])
	r.counts.switches = binary.LittleEndian.Uint64(b[24:])
	return nil
}

func putID(b []byte, id uint64) { binary.LittleEndian.PutUint64(b, id) }

func parseID(b []byte) (uint64, error) {
	if len(b) < 8 { // more are a newer neighbour's
		return 0, fmt.Errorf("cannot read an ID: %d bytes, expected 8: %w", len(b), errMalformedRecord)
	}
	return binary.LittleEndian.Uint64(b), nil
}
