package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// journal is the file by which a HAM goes on after both its halves have died. Each frame is a batch: its length and checksum (CRC-32C), four
// bytes each, then msgpack. The first frame is a header. A frame that is cut short ends the file: nothing that it tells of has
// been begun.
//
// It need not outlive the host, so nothing is synchronised: on another boot it counts for nothing.
type journal struct {
	path   string
	log    *slog.Logger
	f      *os.File
	size   int64 // bytes written
	whole  int64 // of these, those that the file began with
	buf    []byte
	broken time.Time // when writing failed; zero: it did not
	over   bool      // what happens now is not for a HAM that follows
}

const (
	journalMagic = "tandem ham journal 1"
	maxFrame     = 64 << 20
	rewriteFrom  = 1 << 20 // a file shorter than this is not rewritten
	rewriteTimes = 4       // and one that is shorter than so many times its beginning
	mendEvery    = 10 * time.Second
)

type journalHeader struct {
	Magic string `json:"magic"`
	Boot  string `json:"boot"` // as the kernel has it: process numbers and times are those of one boot
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// load returns the batches of the file, oldest first; none if there is no file, or one of another boot.
func (j *journal) load() ([]batch, error) {
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	boot, all, left, err := parseJournal(b)
	switch {
	case err != nil:
		err = fmt.Errorf("cannot read the journal %s: %w", j.path, err)
	case boot != bootID():
		j.log.Info("the journal is of another boot, and counts for nothing", "path", j.path)
		return nil, nil
	case left > 0:
		j.log.Warn("the journal ends within a frame", "path", j.path, "bytes", left)
	}
	return all, err
}

// parseJournal returns the batches of a journal, the boot that it is of, and how many bytes at its end are no whole frame.
func parseJournal(b []byte) (boot string, all []batch, left int, err error) {
	frame, b, ok := cutFrame(b)
	var h journalHeader
	if !ok || codec.Decode(frame, &h) != nil || h.Magic != journalMagic {
		return "", nil, 0, fmt.Errorf("expected a file that begins with %q", journalMagic)
	}
	for {
		if frame, b, ok = cutFrame(b); !ok {
			return h.Boot, all, len(b), nil
		}
		var x batch
		if err := codec.Decode(frame, &x); err != nil {
			return h.Boot, all, len(b), fmt.Errorf("frame %d: %w", len(all)+1, err)
		}
		all = append(all, x)
	}
}

// cutFrame returns the first frame and the rest. Not ok: there is no whole frame; rest is b then.
func cutFrame(b []byte) (frame, rest []byte, ok bool) {
	if len(b) < 8 {
		return nil, b, false
	}
	n, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if n > maxFrame || int(n) > len(b)-8 || crc32.Checksum(b[8:8+n], castagnoli) != sum {
		return nil, b, false
	}
	return b[8 : 8+n], b[8+n:], true
}

func appendFrame(dst []byte, v any) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, 8)...)
	dst, err := codec.Append(dst, v)
	if err != nil {
		return dst[:at], err
	}
	body := dst[at+8:]
	if len(body) > maxFrame {
		return dst[:at], fmt.Errorf("a frame of %d bytes, expected at most %d", len(body), maxFrame)
	}
	seal(dst[at:])
	return dst, nil
}

// seal fills in the head of a frame.
func seal(frame []byte) {
	body := frame[8:]
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(body, castagnoli))
}

// write adds a batch. all returns every record, for a file that is begun anew.
func (j *journal) write(b *batch, all func() batch) {
	if j.over || !j.broken.IsZero() && time.Since(j.broken) < mendEvery {
		return
	}
	var err error
	if j.f == nil || j.size > max(rewriteFrom, rewriteTimes*j.whole) {
		err = j.rewrite(all())
	} else {
		err = j.append(b)
	}
	if err != nil {
		j.log.Error("HAM's journal cannot be written: should both halves die now, HAM would not know what it watched", "path", j.path, "cause", err)
		j.close()
		j.broken = time.Now()
		return
	}
	j.broken = time.Time{}
}

// append writes one frame.
func (j *journal) append(v any) (err error) {
	if j.buf, err = appendFrame(j.buf[:0], v); err != nil {
		return err
	}
	n, err := j.f.Write(j.buf)
	j.size += int64(n)
	return err
}

// entitiesPerFrame bounds a frame of a file that is begun anew.
const entitiesPerFrame = 256

// rewrite begins the file anew with all records. The old one counts until the new one is complete.
func (j *journal) rewrite(all batch) error {
	f, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fresh := &journal{path: j.path, log: j.log, f: f, buf: j.buf}
	if err = fresh.fill(all); err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return err
	}
	j.close()
	fresh.whole = fresh.size
	*j = *fresh
	return nil
}

// fill writes all records to an empty file, frame by frame: all of it at once would be a large part of what HAM takes of the memory.
func (j *journal) fill(all batch) error {
	err := j.append(journalHeader{journalMagic, bootID()})
	for first := true; err == nil && (first || len(all.Entities) > 0); first = false {
		n := min(len(all.Entities), entitiesPerFrame)
		part := batch{Entities: all.Entities[:n]}
		if all.Entities = all.Entities[n:]; len(all.Entities) == 0 {
			part.Root, part.Jobs, part.History = all.Root, all.Jobs, all.History
		}
		err = j.append(part)
	}
	return err
}

func (j *journal) close() {
	if j.f != nil {
		_ = j.f.Close()
		j.f = nil
	}
}

// remove ends the journal of a HAM that has stopped what it ran.
func (j *journal) remove() {
	j.over = true
	j.close()
	_ = os.Remove(j.path)
}
