package pair_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/pair"
)

// The ledger speaks a protocol of lines too, on a TCP address, for clients that know nothing of pairs:
//
//	enter CLIENT N SIZE    makes an entry, answers its serial number, its dice, and SIZE bytes of padding
//	blob LENGTH            and so many bytes: answers their checksum
//	note TEXT, noted       keeps something for the connection, answers what was kept
//	wait                   answers "go on" to its beginning, if that comes alone: "wait" may be followed by any text
//	fail, bye              an error; the end of the connection

func listenToLines(svc *pair.Service, made interface {
	Get(uint64) Made
	Set(uint64, Made)
}, serial interface{ Add(int64) int64 }) {
	notes := pair.Map[uint64, string](svc, "notes")
	closed := pair.Counter(svc, "closed")
	blobs := pair.Counter(svc, "blobs")
	pair.Handle(svc, "closed", func(*pair.Call, struct{}) ([]int64, error) {
		return []int64{closed.Get(), int64(notes.Len()), blobs.Get()}, nil
	})
	handle := func(c *pair.Call, req, dst []byte) ([]byte, error) {
		line, rest, _ := bytes.Cut(req, []byte("\n"))
		word := strings.Fields(string(line))
		if len(word) == 0 {
			return nil, errors.New("an empty line")
		}
		num := func(i int) int {
			if i >= len(word) {
				return 0
			}
			n, _ := strconv.Atoi(word[i])
			return n
		}
		switch word[0] {
		case "enter":
			key := uint64(num(1))<<32 | uint64(num(2))
			m := made.Get(key)
			m.Times++
			m.Receipt = Receipt{Serial: serial.Add(1), Dice: c.Rand().Int64(), At: c.Now().UnixNano()}
			made.Set(key, m)
			dst = fmt.Appendf(dst, "%d %d %s\n", m.Receipt.Serial, m.Receipt.Dice, strings.Repeat("x", num(3)))
		case "blob":
			blobs.Add(1)
			dst = fmt.Appendf(dst, "%d %d\n", len(rest), crc32.ChecksumIEEE(rest))
		case "note":
			notes.Set(c.Opener(), notes.Get(c.Opener())+word[1])
			dst = append(dst, "noted\n"...)
		case "noted":
			dst = fmt.Appendf(dst, "%s\n", notes.Get(c.Opener()))
		case "wait":
			dst = append(dst, "waited\n"...)
		case "bye":
			c.Hangup()
			dst = append(dst, "bye\n"...)
		case "panic":
			panic("as asked")
		default:
			blobs.Add(1000)
			return nil, fmt.Errorf("unknown word %q", word[0])
		}
		return dst, nil
	}
	pair.Listen(svc, "127.0.0.1:0", pair.Protocol{
		Cut:    cutLine,
		Handle: handle,
		Fail:   func(dst []byte, err error) []byte { return fmt.Appendf(dst, "error: %v\n", err) },
		Interim: func(b, dst []byte) []byte {
			if bytes.HasPrefix(b, []byte("wait")) {
				dst = append(dst, "go on\n"...)
			}
			return dst
		},
		Closed: func(c *pair.Call) error {
			notes.Delete(c.Opener())
			closed.Add(1)
			return nil
		},
		MaxRequest: min(200<<10, number(envLog, 1<<20)/8),
	})
}

func cutLine(b []byte) (int, error) {
	if b[0] == '!' {
		return 0, errors.New("a line must not begin with !")
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0, nil
	}
	if n, ok := bytes.CutPrefix(b[:i], []byte("blob ")); ok {
		size, err := strconv.Atoi(string(n))
		if err != nil || size < 0 {
			return 0, errors.New("a blob of no length")
		}
		if size > len(b)-i-1 {
			return 0, nil
		}
		return i + 1 + size, nil
	}
	return i + 1, nil
}
