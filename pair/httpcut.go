package pair

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Where one HTTP request ends. net/http reads the request afterwards (http.go), and two readers that disagree about an end
// are how requests are smuggled past somebody. So both must see the same end, and what is doubtful is refused here, some of
// which net/http takes: folded header lines, Content-Length beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0, bare
// line feeds in a trailer (RFC 9112 §2.2, 5.2, 6.1, 6.3), and bodies in more than maxChunks chunks. Empty lines before a
// request are skipped (§2.2), as net/http does after a POST.

// httpCutter finds the end of a request of at most max bytes.
type httpCutter struct{ max int }

const (
	maxHeader     = 1 << 20  // bytes of request line and headers: net/http's default
	maxChunks     = 16 << 10 // of one body: every look at an unfinished one goes through all of them
	maxChunkLine  = 4 << 10  // bytes with CRLF, as in net/http, and of a trailer
	maxChunkWaste = 16 << 10 // bytes that are no data, beyond what is usual: as in net/http
	maxBlank      = 4        // CR and LF before a request
)

// httpError is a request that is refused, and the status that says so.
type httpError struct {
	status int
	text   string
}

// Error implements error.
func (e *httpError) Error() string { return e.text }

var _ error = (*httpError)(nil)

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// httpHead is what the end of a request depends on.
type httpHead struct {
	start   int // of the request line, behind empty lines
	size    int // bytes up to the body; 0: the headers are not complete
	body    int // bytes; of a chunked body not known
	lengths int // headers Content-Length
	codings int // headers Transfer-Encoding
	hosts   int // headers Host
	minor   byte
	connect bool // the method is CONNECT
	expects bool // to be told to continue
}

func (h *httpHead) chunked() bool { return h.codings > 0 }

// cut is Protocol.Cut.
func (c httpCutter) cut(b []byte) (n int, err error) {
	h, err := c.head(b)
	if err != nil || h.size == 0 {
		return 0, err
	}
	if h.chunked() {
		return c.chunks(b, h.size)
	}
	if h.body > c.max-h.size {
		return 0, c.tooLarge()
	}
	if n = h.size + h.body; len(b) < n {
		return 0, nil
	}
	return n, nil
}

// interim is Protocol.Interim: a client that asks is told to send the body. What is wrong with the request is said by cut.
func (c httpCutter) interim(b, dst []byte) []byte {
	h, err := c.head(b)
	if err == nil && h.size > 0 && h.expects && h.minor > 0 && (h.body > 0 || h.chunked()) {
		dst = append(dst, "HTTP/1.1 100 Continue\r\n\r\n"...)
	}
	return dst
}

func (c httpCutter) tooLarge() error {
	return &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d bytes here", c.max)}
}

// head reads request line and headers. As long as they are not complete only the request line is looked at, so that to look
// again is cheap.
func (c httpCutter) head(b []byte) (h httpHead, err error) {
	for h.start < len(b) && h.start < maxBlank && (b[h.start] == '\r' || b[h.start] == '\n') {
		h.start++
	}
	if h.start == len(b) {
		return h, nil
	}
	most := h.start + min(maxHeader, c.max)
	end := headerEnd(b[h.start:min(len(b), most)])
	if end == 0 && len(b) >= most {
		return h, &httpError{http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the headers of a request have at most %d bytes here", min(maxHeader, c.max))}
	}
	line, rest, ok := bytes.Cut(b[h.start:], []byte{'\n'})
	if !ok {
		if !httpBytes[b[h.start]].token() { // nothing that could become a method: TLS, say
			return h, badRequest("this is no HTTP request")
		}
		return h, nil
	}
	if err := h.requestLine(trimCR(line)); err != nil || end == 0 {
		return h, err
	}
	if err := h.fields(rest[:end-len(line)-1]); err != nil {
		return h, err
	}
	h.size = h.start + end
	return h, h.check()
}

// headerEnd returns the length of the lines of b up to and with the first that is empty; 0: there is none.
func headerEnd(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		if at < len(b) && b[at] == '\n' {
			return at + 1
		}
		if at+1 < len(b) && b[at] == '\r' && b[at+1] == '\n' {
			return at + 2
		}
	}
}

func trimCR(line []byte) []byte { return bytes.TrimSuffix(line, []byte{'\r'}) }

// requestLine looks at METHOD SP TARGET SP VERSION. The target is left to net/http.
func (h *httpHead) requestLine(line []byte) error {
	method, rest, _ := bytes.Cut(line, []byte{' '})
	_, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || !validToken(method) {
		return badRequest("malformed request line")
	}
	h.connect = string(method) == http.MethodConnect
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || version[6] != '.' || !isDigit(version[5]) || !isDigit(version[7]) {
		return badRequest("malformed HTTP version")
	}
	if version[5] != '1' {
		return &httpError{http.StatusHTTPVersionNotSupported, "HTTP/1.1 is spoken here, and HTTP/1.0"}
	}
	h.minor = version[7] - '0'
	return nil
}

// fields reads complete header lines, the empty one at the end included.
func (h *httpHead) fields(b []byte) error {
	for {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		if line = trimCR(line); len(line) == 0 {
			return nil
		}
		name, value, err := headerField(line)
		if err != nil {
			return err
		}
		if err := h.field(name, value); err != nil {
			return err
		}
		b = rest
	}
}

// headerField cuts one header line. Its errors cover folded lines: the name would begin with a space.
func headerField(line []byte) (name, value []byte, err error) {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || !validToken(name) {
		return nil, nil, badRequest("malformed header line")
	}
	for _, c := range value {
		if !httpBytes[c].text() {
			return nil, nil, badRequest("invalid header value")
		}
	}
	return name, trimBlanks(value), nil
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// field takes note of a header that tells how long the request is, or whether it can be answered at all.
func (h *httpHead) field(name, value []byte) error {
	switch {
	case is(name, "Content-Length"):
		return h.contentLength(value)
	case is(name, "Transfer-Encoding"):
		h.codings++
		if h.codings > 1 || !is(value, "chunked") {
			return &httpError{http.StatusNotImplemented, "unsupported transfer encoding"}
		}
	case is(name, "Host"):
		h.hosts++
		for _, c := range value {
			if !httpBytes[c].host() {
				return badRequest("malformed Host header")
			}
		}
	case is(name, "Expect"):
		if h.expects = is(value, "100-continue"); !h.expects && len(value) > 0 {
			return &httpError{http.StatusExpectationFailed, "unknown expectation"}
		}
	}
	return nil
}

// is compares without regard to case. One of both is ASCII: a token, or what it is compared with.
func is(b []byte, s string) bool { return len(b) == len(s) && bytes.EqualFold(b, []byte(s)) }

// contentLength takes one of several only if they say the same.
func (h *httpHead) contentLength(value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		return &httpError{http.StatusRequestEntityTooLarge, "no request is that long here"}
	}
	if err != nil {
		return badRequest("bad Content-Length")
	}
	if h.lengths++; h.lengths > 1 && h.body != int(n) {
		return badRequest("several values of Content-Length")
	}
	h.body = int(n)
	return nil
}

// check refuses what no single header shows.
func (h *httpHead) check() error {
	switch {
	case h.chunked() && h.minor == 0:
		return badRequest("Transfer-Encoding in HTTP/1.0")
	case h.chunked() && h.lengths > 0:
		return badRequest("both Transfer-Encoding and Content-Length")
	case h.hosts > 1:
		return badRequest("too many Host headers")
	case h.hosts == 0 && h.minor > 0 && !h.connect:
		return badRequest("missing required Host header")
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func validToken(b []byte) bool {
	for _, c := range b {
		if !httpBytes[c].token() {
			return false
		}
	}
	return len(b) > 0
}
