package pair

import (
	"bytes"
)

// A body in chunks (RFC 9112 §7.1): where it ends, by the rules of net/http's chunkedReader.

// chunks returns the length of a request whose body begins at b[at:], 0 if it is not complete.
func (c httpCutter) chunks(b []byte, at int) (n int, err error) {
	for count, waste := 0, 0; ; count++ {
		if count > maxChunks {
			return 0, c.tooLarge()
		}
		size, line, err := chunkHead(b[at:])
		if err != nil || line == 0 {
			return 0, c.orTooLarge(at, err)
		}
		at += line
		if size == 0 {
			return c.trailer(b, at)
		}
		if size > uint64(c.max-min(at, c.max)) {
			return 0, c.tooLarge()
		}
		if waste = max(waste+line-16-2*int(size), 0); waste > maxChunkWaste {
			return 0, badRequest("a chunked body with too much that is no data")
		}
		at += int(size)
		if err := startsWithCRLF(b, at); err != nil {
			return 0, err
		}
		if at += len("\r\n"); at >= len(b) {
			return 0, c.orTooLarge(at, nil)
		}
	}
}

// orTooLarge tells, of a request that needs more bytes than at, whether it may have them.
func (c httpCutter) orTooLarge(at int, err error) error {
	if err == nil && at >= c.max {
		return c.tooLarge()
	}
	return err
}

// startsWithCRLF refuses anything else at b[at:], as far as it is there.
func startsWithCRLF(b []byte, at int) error {
	if b = b[min(at, len(b)):]; len(b) > 0 && b[0] != '\r' || len(b) > 1 && b[1] != '\n' {
		return badRequest("malformed chunked encoding")
	}
	return nil
}

// chunkHead reads the line that begins a chunk: the size of the chunk, and of the line with its end. 0: it is not complete.
func chunkHead(b []byte) (size uint64, line int, err error) {
	digits := 0
	for digits < len(b) && isHex(b[digits]) {
		digits++
	}
	end := digits
	if rest := b[digits:]; len(rest) < 2 || rest[0] != '\r' || rest[1] != '\n' {
		if end, err = extension(b, digits); err != nil || end == 0 {
			return 0, 0, err
		}
	}
	if digits == 0 || digits > 16 {
		return 0, 0, badRequest("bad length of a chunk")
	}
	for _, c := range b[:digits] {
		size = size<<4 | uint64(hexValue(c))
	}
	return size, end + len("\r\n"), nil
}

// extension looks at a chunk's line with more than digits in it, which means nothing. It returns where the line ends; 0: it
// is not complete.
func extension(b []byte, digits int) (end int, err error) {
	end = bytes.IndexByte(b[:min(len(b), maxChunkLine)], '\n')
	if end < 0 && len(b) >= maxChunkLine {
		return 0, badRequest("the line of a chunk is too long")
	}
	if end < 0 {
		return 0, nil
	}
	if cr := bytes.IndexByte(b[:end], '\r'); cr < 0 || cr != end-1 {
		return 0, badRequest("the line of a chunk does not end in CRLF")
	}
	more := b[digits : end-1]
	if len(more) > 0 && more[0] != ';' && len(trimBlanks(more)) > 0 { // blanks before an extension are none to net/http
		return 0, badRequest("bad length of a chunk")
	}
	return end - 1, nil
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// hexValue is the value of a hexadecimal digit.
func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// trailer finds the end behind the last chunk: an empty line, behind header lines if there are any.
func (c httpCutter) trailer(b []byte, at int) (n int, err error) {
	rest := b[at:]
	if len(rest) < 2 || string(rest[:2]) == "\r\n" {
		return c.end(b, at+2)
	}
	end := bytes.Index(rest[:min(len(rest), maxChunkLine)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(rest) >= maxChunkLine {
			return 0, badRequest("suspiciously long trailer after a chunked body")
		}
		return 0, c.orTooLarge(len(b), nil)
	}
	for line := range bytes.SplitSeq(rest[:end], []byte("\r\n")) {
		if _, _, err := headerField(line); err != nil { // a bare line feed is no part of a value
			return 0, err
		}
	}
	return c.end(b, at+end+4)
}

// end is where the request ends, if it may be that long and is there.
func (c httpCutter) end(b []byte, at int) (n int, err error) {
	if at > c.max {
		return 0, c.tooLarge()
	}
	if at > len(b) {
		return 0, nil
	}
	return at, nil
}

// httpByte says where a byte may stand.
type httpByte uint8

func (c httpByte) token() bool { return c&inToken != 0 }
func (c httpByte) text() bool  { return c&inText != 0 }
func (c httpByte) host() bool  { return c&inHost != 0 }

const (
	inToken httpByte = 1 << iota // methods and header names (RFC 9110 §5.6.2)
	inText                       // header values (§5.5)
	inHost                       // Host: as net/http has it
)

// httpBytes says it of all bytes.
var httpBytes = func() (t [256]httpByte) {
	for c := range t {
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= inText
		}
	}
	for _, c := range []byte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] |= inToken | inHost
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= inToken
	}
	for _, c := range []byte("!$%&'()*+,-.:;=[]_~") {
		t[c] |= inHost
	}
	return t
}()
