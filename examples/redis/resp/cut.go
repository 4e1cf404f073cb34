package resp

import (
	"bytes"
	"math"
)

// ProtocolError is why the bytes of a client cannot be read any further. Its text is what Redis says.
type ProtocolError string

// Error returns the text.
func (e ProtocolError) Error() string { return string(e) }

var _ error = ProtocolError("")

// What Redis says, with the same words.
const (
	ErrInlineTooLong  = ProtocolError("Protocol error: too big inline request")
	ErrQuotes         = ProtocolError("Protocol error: unbalanced quotes in request")
	ErrCountTooLong   = ProtocolError("Protocol error: too big mbulk count string")
	ErrCount          = ProtocolError("Protocol error: invalid multibulk length")
	ErrBulkLenTooLong = ProtocolError("Protocol error: too big bulk count string")
	ErrBulkLen        = ProtocolError("Protocol error: invalid bulk length")
)

// errExpectedBulk says that an argument begins with c.
func errExpectedBulk(c byte) ProtocolError {
	return ProtocolError("Protocol error: expected '$', got '" + string([]byte{c}) + "'")
}

// maxLine bounds a line in bytes: an inline command, or a number in front of what it counts (PROTO_INLINE_MAX_SIZE).
const maxLine = 64 << 10

// Cut returns the length of the first request in b, 0 if b holds only the beginning of one. max bounds an argument, in
// bytes. The error is a ProtocolError.
func Cut(b []byte, max int) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	if b[0] != '*' {
		return cutInline(b)
	}
	count, at, err := number(b, 1, ErrCount, ErrCountTooLong)
	if at == 0 || err != nil {
		return 0, err
	}
	if count > math.MaxInt32 {
		return 0, ErrCount
	}
	for ; count > 0; count-- {
		size, next, err := bulk(b, at, max)
		if next == 0 || err != nil {
			return 0, err
		}
		if at = next + size + 2; at > len(b) {
			return 0, nil
		}
	}
	return at, nil
}

func cutInline(b []byte) (int, error) {
	n := bytes.IndexByte(b[:min(len(b), maxLine+1)], '\n') + 1
	if n == 0 && len(b) > maxLine {
		return 0, ErrInlineTooLong
	}
	return n, nil
}

// bulk reads the head of the argument that begins at b[at]: its size, and where its bytes begin; 0: not there yet.
func bulk(b []byte, at, max int) (size, next int, err error) {
	if at == len(b) {
		return 0, 0, nil
	}
	if b[at] != '$' {
		return 0, 0, errExpectedBulk(b[at])
	}
	n, next, err := number(b, at+1, ErrBulkLen, ErrBulkLenTooLong)
	if next == 0 || err != nil {
		return 0, 0, err
	}
	if n < 0 || n > int64(max) {
		return 0, 0, ErrBulkLen
	}
	return int(n), next, nil
}

// number reads a number that begins at b[at] and ends with CR LF, and where it ends; 0: not there yet.
func number(b []byte, at int, wrong, long ProtocolError) (n int64, next int, err error) {
	next = at
	for ; next < len(b) && next-at < shortNumber && b[next]-'0' <= 9; next++ { // as it nearly always is
		n = n*10 + int64(b[next]-'0')
	}
	if next+2 <= len(b) && b[next] == '\r' && (next == at+1 || next > at && b[at] != '0') {
		return n, next + 2, nil
	}
	return oddNumber(b, at, wrong, long)
}

// shortNumber is how many digits fit an int64 whatever they are.
const shortNumber = 18

func oddNumber(b []byte, at int, wrong, long ProtocolError) (n int64, next int, err error) {
	for next = at; next < len(b) && b[next] != '\r'; next++ {
		if next-at > maxLine {
			return 0, 0, long
		}
	}
	if next+2 > len(b) {
		return 0, 0, nil
	}
	n, ok := Integer(b[at:next])
	if !ok {
		return 0, 0, wrong
	}
	return n, next + 2, nil
}

// Integer reads a number the way Redis does: in decimal, without a sign +, leading zeros or spaces, in 64 bits.
func Integer(b []byte) (n int64, ok bool) {
	digits, negative := b, false
	if len(b) > 1 && b[0] == '-' {
		digits, negative = b[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var u uint64 // 19 digits cannot overflow it
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		u = u*10 + uint64(c)
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true
	case !negative && u < 1<<63:
		return int64(u), true
	}
	return 0, false
}
