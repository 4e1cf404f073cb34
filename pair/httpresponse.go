package pair

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The response to one HTTP request. It is written to memory and becomes one reply: nothing of it leaves before the record
// with the changes that belong to it. So its length is always known, and bodies are never chunked. The rest is as in
// net/http, by whose rules handlers were written: implicit 200, superfluous calls, sniffed types, the headers' order.

// httpResponse is the http.ResponseWriter. It lives for one request; the buffers are its server's.
type httpResponse struct {
	req    *http.Request
	now    time.Time
	most   int // bytes of a response
	header http.Header
	status int // 0: not said yet
	over   bool
	large  bool // the body grew beyond what fits

	fields httpBuffer // header lines as they were when the status was said, but for those of finish
	body   httpBuffer

	length    int64 // as the handler says; -1: it does not
	typed     bool  // the type of the body is said, or is not to be guessed
	dated     bool
	connected bool // the handler said Connection
	closes    bool // it said that it is to be closed
	close     bool // it is
}

var (
	errResponseOver  = errors.New("the response is over: its handler has returned")
	errResponseLarge = errors.New("the response does not fit into a record (Config.LogSize)")
)

// httpBuffer is written to by net/http.
type httpBuffer []byte

// Write implements io.Writer.
func (b *httpBuffer) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }

// WriteString implements io.StringWriter.
func (b *httpBuffer) WriteString(s string) (int, error) { *b = append(*b, s...); return len(s), nil }

// reset makes it a response to which nothing has been written.
func (w *httpResponse) reset() {
	*w = httpResponse{req: w.req, now: w.now, most: w.most, header: http.Header{}, close: w.close, fields: w.fields[:0], body: w.body[:0]}
}

// Header implements http.ResponseWriter.
func (w *httpResponse) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. What is only informational is not sent: it could not be sent again after a
// takeover without being sent twice.
func (w *httpResponse) WriteHeader(status int) {
	if w.status != 0 || w.over {
		return
	}
	switch {
	case status < 100 || status > 999:
		panic("invalid WriteHeader code " + strconv.Itoa(status)) // as net/http does
	case status == http.StatusSwitchingProtocols:
		status = http.StatusNotImplemented // nobody will speak another protocol here
	case status < 200:
		return
	}
	w.status = status
	w.readHeader()
	_ = w.header.WriteSubset(&w.fields, w.left())
}

// readHeader notes what finish has to know of the headers.
func (w *httpResponse) readHeader() {
	w.length = -1
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.length = n
	}
	_, w.typed = w.header["Content-Type"]
	w.typed = w.typed || w.header.Get("Content-Encoding") != "" || w.header.Get("Transfer-Encoding") != ""
	_, w.dated = w.header["Date"]
	_, w.connected = w.header["Connection"]
	w.closes = hasToken(w.header["Connection"], "close")
	w.close = w.close || w.closes
}

// left are the headers that are written by finish, or never. Trailers would need chunks.
func (w *httpResponse) left() map[string]bool {
	left := map[string]bool{"Content-Length": true, "Transfer-Encoding": true, "Trailer": true}
	if w.status == http.StatusNotModified {
		left["Content-Type"] = true
	}
	if w.close {
		left["Connection"] = true
	}
	for key := range w.header {
		if strings.HasPrefix(key, http.TrailerPrefix) {
			left[key] = true
		}
	}
	return left
}

// Write implements io.Writer.
func (w *httpResponse) Write(p []byte) (int, error) {
	if err := w.takes(len(p)); err != nil {
		return 0, err
	}
	return w.body.Write(p)
}

// WriteString implements io.StringWriter.
func (w *httpResponse) WriteString(s string) (int, error) {
	if err := w.takes(len(s)); err != nil {
		return 0, err
	}
	return w.body.WriteString(s)
}

// takes tells whether the body may grow by n bytes.
func (w *httpResponse) takes(n int) error {
	if w.over {
		return errResponseOver
	}
	w.WriteHeader(http.StatusOK)
	switch {
	case n == 0:
		return nil
	case !w.hasBody():
		return http.ErrBodyNotAllowed
	case w.length >= 0 && int64(len(w.body)+n) > w.length:
		return http.ErrContentLength
	case len(w.fields)+len(w.body)+n > w.most:
		w.large = true
		return errResponseLarge
	}
	return nil
}

// hasBody tells whether the status allows a body.
func (w *httpResponse) hasBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// finish appends the response to dst. The connection ends with it if w.close is then true.
func (w *httpResponse) finish(dst []byte) []byte {
	w.WriteHeader(http.StatusOK)
	w.over = true
	head := w.req.Method == http.MethodHead
	dst = appendStatus(dst, w.req.ProtoAtLeast(1, 1), w.status)
	dst = append(dst, w.fields...)
	if !w.dated {
		dst = append(dst, "Date: "...)
		dst = w.now.UTC().AppendFormat(dst, http.TimeFormat)
		dst = append(dst, "\r\n"...)
	}
	if w.hasBody() {
		dst = w.entity(dst, head)
	}
	dst = append(w.connection(dst), "\r\n"...)
	if head {
		return dst
	}
	return append(dst, w.body...)
}

// entity appends the headers about the body. The answer to a HEAD without a body says no length: it would not be that of
// the answer to a GET.
func (w *httpResponse) entity(dst []byte, head bool) []byte {
	n := w.length
	if n < 0 && (!head || len(w.body) > 0) {
		n = int64(len(w.body))
	}
	if n >= 0 {
		dst = append(dst, "Content-Length: "...)
		dst = append(strconv.AppendInt(dst, n, 10), "\r\n"...)
	}
	if !head && n != int64(len(w.body)) {
		w.close = true // it is shorter than the handler said: only the end of the connection can tell
	}
	if !w.typed && len(w.body) > 0 {
		dst = append(dst, "Content-Type: "...)
		dst = append(append(dst, http.DetectContentType(w.body)...), "\r\n"...)
	}
	return dst
}

// connection appends the header about it, unless it is what the client expects.
func (w *httpResponse) connection(dst []byte) []byte {
	is11 := w.req.ProtoAtLeast(1, 1)
	switch {
	case w.close && (is11 || w.closes):
		return append(dst, "Connection: close\r\n"...)
	case !w.close && !is11 && !w.connected:
		return append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

func appendStatus(dst []byte, is11 bool, status int) []byte {
	dst = append(dst, "HTTP/1.0 "...)
	if is11 {
		dst[len(dst)-2] = '1'
	}
	dst = append(strconv.AppendInt(dst, int64(status), 10), ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	return append(append(dst, text...), "\r\n"...)
}

// hasToken tells whether a comma-separated header contains a token.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

var (
	_ http.ResponseWriter = (*httpResponse)(nil)
	_ io.StringWriter     = (*httpResponse)(nil)
)
