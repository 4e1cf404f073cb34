package pair

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// testCutter leaves room for all that the tests send.
var testCutter = httpCutter{max: 1 << 20}

// lines makes a request of lines with the ends they have on the wire.
func lines(l ...string) string { return strings.Join(l, "\r\n") }

// wholeRequests are requests that net/http takes and so do we.
var wholeRequests = []string{
	lines("GET / HTTP/1.1", "Host: a", "", ""),
	lines("GET / HTTP/1.0", "", ""),
	"GET / HTTP/1.0\n\n",
	"\r\nGET / HTTP/1.0\r\nA: b\n\r\n",
	lines("OPTIONS * HTTP/1.1", "host:", "", ""),
	lines("CONNECT a:1 HTTP/1.1", "", ""),
	lines("HEAD http://a/b HTTP/1.1", "Host: c", "Connection: close", "", ""),
	lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "", "abc"),
	lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "content-length:\t3 ", "", "abc"),
	lines("POST / HTTP/1.1", "Host: a", "Content-Length: 000", "", ""),
	lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: Chunked", "", "0", "", ""),
	lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "3;x=\"y\"", "abc", "00A \t", "0123456789", "0", "", ""),
	lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: T", "", "1", "a", "0;z", "T: u", "V: w", "", ""),
	lines("PUT /a?b HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 1", "", "a"),
}

// refusedRequests are what net/http refuses, and so do we, with the status that says so.
var refusedRequests = []struct {
	status int
	req    string
}{
	{400, "\x16\x03\x01\x02\x00\x01"},
	{400, "\r\n\r\n\r\n"},
	{400, lines("GET /", "", "")},
	{400, lines("GET  HTTP/1.1", "Host: a", "", "")},
	{400, lines("G ET / HTTP/1.1", "Host: a", "", "")},
	{400, lines("GET / a HTTP/1.1", "Host: a", "", "")},
	{400, lines("GE(T / HTTP/1.1", "Host: a", "", "")},
	{400, lines("GET / HTTP/1.1 ", "Host: a", "", "")},
	{400, lines("GET / HTTP/11", "Host: a", "", "")},
	{400, lines("GET / http/1.1", "Host: a", "", "")},
	{505, lines("GET / HTTP/2.0", "Host: a", "", "")},
	{505, lines("GET / HTTP/0.9", "", "")},
	{400, lines("GET / HTTP/1.1", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a", "Host: a", "", "")},
	{400, lines("GET / HTTP/1.1", " Host: a", "", "")},
	{400, lines("GET / HTTP/1.1", "Host : a", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a", "B", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a", ": b", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a", "B: \x00", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a", "B: c\rd", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a", "\r", "", "")},
	{417, lines("GET / HTTP/1.1", "Host: a", "Expect: more", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Content-Length: 4", "", "abcd")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3, 3", "", "abc")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Content-Length: +3", "", "abc")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Content-Length: -3", "", "abc")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Content-Length: 0x3", "", "abc")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Content-Length: ", "", "")},
	{413, lines("POST / HTTP/1.1", "Host: a", "Content-Length: 99999999999999999999", "", "")},
	{501, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip", "", "")},
	{501, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked", "", "0", "", "")},
	{501, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: \vchunked", "", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "3", "abcd", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "", "abc", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "0x3", "abc", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "3\nabc", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "3\r\rabc", "0", "", "", "\n")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "11111111111111111", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "1;"+strings.Repeat("x", 5000), "a", "0", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "0", "T: "+strings.Repeat("x", 5000), "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", strings.Repeat("1;"+strings.Repeat("x", 4000)+"\r\na\r\n", 6))},
}

// doubtfulRequests are what net/http takes and we do not (see httpcut.go).
var doubtfulRequests = []struct {
	status int
	req    string
}{
	{400, lines("GET / HTTP/1.1", "Host: a", "B: c", "\td", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 3", "", "0", "", "")},
	{400, lines("POST / HTTP/1.0", "Transfer-Encoding: chunked", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "0", "A: b\nC: d", "", "")},
	{400, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "0", "\nGET / HTTP/1.0", "", "")},
	{413, lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", strings.Repeat("1\r\na\r\n", maxChunks+1)+"0", "", "")},
	{400, lines("GET / HTTP/1.1", "Host: a/b", "", "")}, // http.Server refuses it, behind its reader
	{505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
}

func TestARequestEndsWhereNetHTTPSaysSo(t *testing.T) {
	t.Parallel()
	for _, req := range wholeRequests {
		for _, next := range []string{"", "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
			n, err := testCutter.cut([]byte(req + next))
			require.NoError(t, err, "%q", req)
			require.Equal(t, len(req), n, "%q", req)
			checkAgainstNetHTTP(t, []byte(req+next))
		}
	}
}

func TestARequestThatNetHTTPRefusesIsRefused(t *testing.T) {
	t.Parallel()
	for _, r := range refusedRequests {
		n, err := testCutter.cut([]byte(r.req))
		if err == nil && n > 0 {
			_, err = newHTTPServer(Config{LogSize: 8 << 20}.New("test"), nil).read([]byte(r.req)[:n])
		}
		var refused *httpError
		require.ErrorAs(t, err, &refused, "%q", r.req)
		require.Equal(t, r.status, refused.status, "%q: %v", r.req, err)
		require.NotEqual(t, accepted, netHTTP([]byte(r.req)).verdict, "%q", r.req)
	}
}

func TestADoubtfulRequestIsRefusedThoughNetHTTPTakesIt(t *testing.T) {
	t.Parallel()
	for _, r := range doubtfulRequests {
		_, err := testCutter.cut([]byte(r.req))
		var refused *httpError
		require.ErrorAs(t, err, &refused, "%q", r.req)
		require.Equal(t, r.status, refused.status, "%q: %v", r.req, err)
		checkAgainstNetHTTP(t, []byte(r.req))
	}
}

func TestTheEndOfARequestIsFoundAsSoonAsItIsThere(t *testing.T) {
	t.Parallel()
	for _, req := range wholeRequests {
		for k := 1; k < len(req); k++ {
			n, err := testCutter.cut([]byte(req[:k]))
			require.NoError(t, err, "the first %d bytes of %q", k, req)
			require.Zero(t, n, "the first %d bytes of %q are not all of it", k, req)
		}
	}
}

func TestARequestThatIsTooLongIsRefusedBeforeItHasCome(t *testing.T) {
	t.Parallel()
	c := httpCutter{max: 1000}
	head := lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "")
	for req, status := range map[string]int{
		lines("POST / HTTP/1.1", "Host: a", "Content-Length: 1000", "", ""):                             413,
		lines("POST / HTTP/1.1", "Host: a", fmt.Sprintf("Content-Length: %d", uint64(1)<<63-1), "", ""): 413,
		head + "400\r\n":              413,
		head + "ffffffffffffffff\r\n": 413,
		head + strings.Repeat("64\r\n"+strings.Repeat("a", 100)+"\r\n", 10):                     413,
		head + "380\r\n" + strings.Repeat("a", 896) + "\r\n0\r\nT: u" + strings.Repeat("v", 60): 413,
		"GET /" + strings.Repeat("a", 1000):                                                     431,
		lines("GET / HTTP/1.1", "Host: a", "B: "+strings.Repeat("c", 1000)):                     431,
		lines("GET / HTTP/1.1", "Host: a", "B: "+strings.Repeat("c", 1000), "", ""):             431,
	} {
		_, err := c.cut([]byte(req))
		var refused *httpError
		require.ErrorAs(t, err, &refused, "%.60q", req)
		require.Equal(t, status, refused.status, "%.60q: %v", req, err)
	}
	whole := lines("POST / HTTP/1.1", "Host: a", "Content-Length: 951", "", strings.Repeat("a", 951))
	require.Len(t, whole, c.max)
	n, err := c.cut([]byte(whole))
	require.NoError(t, err)
	require.Equal(t, c.max, n, "what is as long as may be is no longer")
}

func TestAClientThatWaitsToContinueIsToldTo(t *testing.T) {
	t.Parallel()
	waits := lines("PUT / HTTP/1.1", "Host: a", "Expect: 100-Continue", "Content-Length: 1", "", "")
	require.Equal(t, "xHTTP/1.1 100 Continue\r\n\r\n", string(testCutter.interim([]byte(waits), []byte("x"))))
	chunked := strings.Replace(waits, "Content-Length: 1", "Transfer-Encoding: chunked", 1)
	require.NotEmpty(t, testCutter.interim([]byte(chunked), nil))
	for _, silent := range []string{
		waits[:len(waits)-2],
		strings.Replace(waits, "1.1", "1.0", 1),
		strings.Replace(waits, "Length: 1", "Length: 0", 1),
		strings.Replace(waits, "Expect", "Accept", 1),
		strings.Replace(waits, "100-Continue", "", 1),
		strings.Replace(waits, "Host", "Most", 1),
	} {
		require.Empty(t, testCutter.interim([]byte(silent), nil), "%q", silent)
	}
}

// Requests are cut the same however many bytes come at a time, and whatever follows.
func TestAStreamOfRequestsIsCutTheSameAtAnyPace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		reqs := rapid.SliceOfN(rapid.SampledFrom(wholeRequests), 1, 8).Draw(t, "requests")
		stream := []byte(strings.Join(reqs, ""))
		for here := 0; len(stream) > 0; {
			here = min(here+rapid.IntRange(1, 60).Draw(t, "bytes that come"), len(stream))
			n, err := testCutter.cut(stream[:here])
			require.NoError(t, err)
			if n > 0 {
				require.Equal(t, reqs[0], string(stream[:n]))
				reqs, stream, here = reqs[1:], stream[n:], here-n
			}
		}
		require.Empty(t, reqs, "every request was cut")
	})
}

// verdict is what a reader of requests says of some bytes.
type verdict int

const (
	partial verdict = iota // more must come
	accepted
	refused
)

// reading is what net/http's server makes of some bytes.
type reading struct {
	verdict verdict
	n       int // bytes of the request, if it is accepted
	req     *http.Request
	err     error
}

// netHTTP reads one request as http.Server does, by the same reader and, written down again, the same checks behind it.
func netHTTP(b []byte) reading {
	skip := 0
	for skip < min(len(b), maxBlank) && (b[skip] == '\r' || b[skip] == '\n') {
		skip++
	}
	src := bytes.NewReader(b[skip:])
	buf := bufio.NewReaderSize(src, 4<<10)
	req, err := http.ReadRequest(buf)
	if err == nil {
		err = serverChecks(req, strings.ToLower(string(b)))
	}
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), err != nil && strings.Contains(err.Error(), "unexpected EOF"):
		return reading{partial, 0, req, err}
	case err != nil:
		return reading{refused, 0, req, err}
	}
	return reading{accepted, len(b) - src.Len() - buf.Buffered(), req, nil}
}

// serverChecks are those of http.Server. What it says of the bytes in Host is left out.
func serverChecks(r *http.Request, text string) error {
	if r.ProtoAtLeast(1, 1) && r.Method != "CONNECT" && r.Method != "PRI" && !strings.Contains(text, "\nhost:") {
		return errors.New("missing required Host header")
	}
	if r.ProtoMajor != 1 && r.Method != "PRI" {
		return errors.New("unsupported protocol version")
	}
	if e := r.Header.Get("Expect"); e != "" && !strings.EqualFold(e, "100-continue") {
		return errors.New("expectation failed")
	}
	for name := range r.Header {
		if !validToken([]byte(name)) {
			return errors.New("invalid header name")
		}
	}
	return nil
}

// checkAgainstNetHTTP compares what is made of b by us and by net/http.
func checkAgainstNetHTTP(t require.TestingT, b []byte) {
	n, err := testCutter.cut(b)
	theirs := netHTTP(b)
	switch {
	case err != nil:
		require.Zero(t, n)
		if theirs.verdict == accepted {
			require.True(t, doubtful(b, theirs.req, err), "net/http takes %d bytes, and we refuse them: %v\n%q", theirs.n, err, b)
		}
	case n == 0:
		require.NotEqual(t, accepted, theirs.verdict, "net/http takes %d bytes, and we wait for more\n%q", theirs.n, b)
	case theirs.verdict == accepted:
		require.Equal(t, theirs.n, n, "the request ends elsewhere for net/http\n%q", b)
	default:
		require.Equal(t, refused, theirs.verdict, "we take %d bytes, and net/http waits for more\n%q", n, b)
		_, err := newHTTPServer(Config{LogSize: 8 << 20}.New("test"), nil).read(b[:n])
		require.Error(t, err, "net/http refuses what we handle: %v\n%q", theirs.err, b)
	}
}

// doubtful tells whether a request is one of those that we do not take though net/http does.
func doubtful(b []byte, r *http.Request, err error) bool {
	text := string(b)
	switch err.Error() {
	case "malformed header line", "invalid header value":
		return strings.Contains(text, "\n ") || strings.Contains(text, "\n\t") || len(r.Trailer) > 0 || r.ContentLength < 0
	case "both Transfer-Encoding and Content-Length":
		return r.ContentLength < 0
	case "Transfer-Encoding in HTTP/1.0":
		return r.ProtoMinor == 0
	case "HTTP/1.1 is spoken here, and HTTP/1.0":
		return r.Method == "PRI"
	case "unsupported transfer encoding":
		return r.ProtoMinor == 0
	case "missing required Host header": // the text stands in the body
		return true
	case "malformed Host header": // so says http.Server
		return true
	case "suspiciously long trailer after a chunked body", "malformed chunked encoding", "the line of a chunk does not end in CRLF":
		return r.ContentLength < 0
	}
	return strings.HasPrefix(err.Error(), "a request has at most")
}

func FuzzHTTPCut(f *testing.F) {
	for _, req := range wholeRequests {
		f.Add([]byte(req))
		f.Add([]byte(req + req))
	}
	for _, r := range refusedRequests {
		f.Add([]byte(r.req))
	}
	for _, r := range doubtfulRequests {
		f.Add([]byte(r.req))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		checkAgainstNetHTTP(t, b)
		n, err := testCutter.cut(b)
		if n > 0 {
			again, err := testCutter.cut(b[:n])
			require.NoError(t, err)
			require.Equal(t, n, again, "what follows a request changes nothing")
		}
		for k := range min(len(b), 300) { // the beginning says nothing that the whole does not confirm
			m, e := testCutter.cut(b[:k+1])
			if m > 0 {
				require.Equal(t, n, m, "cut after %d bytes", k+1)
			}
			if e != nil {
				require.Error(t, err, "refused after %d bytes, and then accepted", k+1)
			}
		}
		testCutter.interim(b, nil)
	})
}

func BenchmarkHTTPCut(b *testing.B) {
	curl := []byte(lines("POST /count HTTP/1.1", "Host: 127.0.0.1:8080", "User-Agent: curl/8.14.1", "Accept: */*", "Content-Length: 2", "Content-Type: application/json", "", "{}"))
	b.SetBytes(int64(len(curl)))
	for b.Loop() {
		_, _ = testCutter.cut(curl)
	}
}

func BenchmarkHTTPCutOfTheMostChunks(b *testing.B) {
	req := []byte(lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", strings.Repeat("1\r\na\r\n", maxChunks)))
	for b.Loop() {
		_, _ = testCutter.cut(req)
	}
}
