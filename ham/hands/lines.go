package hands

import "bytes"

// maxLine bounds a line that a program writes, in bytes. A longer one is told in pieces.
const maxLine = 8 << 10

// lines cuts a stream of bytes into lines. The zero value is at the beginning of one.
type lines struct {
	begun []byte // of a line whose end has not come yet
}

// feed calls each for every line that b completes, without its end, and for every piece of maxLine bytes. The line is valid
// during the call only.
func (l *lines) feed(b []byte, each func(line []byte)) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		n := end
		if end < 0 {
			n = len(b)
		}
		n = min(n, maxLine-len(l.begun))
		piece, whole := b[:n], n == end
		if b = b[n:]; whole {
			b = b[1:]
		}
		if !whole && len(l.begun)+n < maxLine {
			l.begun = append(l.begun, piece...)
			return
		}
		if len(l.begun) > 0 {
			piece = append(l.begun, piece...)
			l.begun = nil // most streams have none: keep no memory for them
		}
		each(bytes.TrimSuffix(piece, []byte{'\r'}))
	}
}

// end tells what has come of a line that will never be complete.
func (l *lines) end(each func(line []byte)) {
	if len(l.begun) > 0 {
		each(l.begun)
		l.begun = nil
	}
}
