package pair

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// handlers do what handlers do, so that their responses can be compared with those that net/http makes of them.
var handlers = map[string]http.HandlerFunc{
	"nothing":            func(http.ResponseWriter, *http.Request) {},
	"text":               func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
	"HTML, by its looks": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
	"in two parts": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hel")
		w.Write(nil)
		w.Write([]byte("lo"))
	},
	"a type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "a/b")
		io.WriteString(w, "{}")
	},
	"no type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "{}")
	},
	"no date": func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil },
	"an encoding": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "x")
		io.WriteString(w, "{}")
	},
	"204": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.Header().Set("Content-Type", "a/b")
		w.WriteHeader(204)
		if _, err := io.WriteString(w, "abc"); !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	},
	"304": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "a/b")
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(304)
	},
	"404":      http.NotFound,
	"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusSeeOther) },
	"a length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hello")
	},
	"a coding": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Transfer-Encoding", "chunked")
		io.WriteString(w, "<html>")
	},
	"superfluous": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(418)
		w.WriteHeader(500)
		io.WriteString(w, "teapot")
	},
	"an unknown status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(777) },
	"headers too late": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("A", "b")
		w.WriteHeader(200)
		w.Header().Set("A", "c")
		w.Header().Set("D", "e")
	},
	"hints": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "x")
		w.WriteHeader(103)
		w.WriteHeader(201)
	},
	"many headers": func(w http.ResponseWriter, _ *http.Request) {
		for _, k := range []string{"Z", "B", "A", "C"} {
			w.Header().Add(k, "1")
			w.Header().Add(k, "2\r\nEvil: 3")
		}
		w.Header()["not a name"] = []string{"x"}
	},
	"close": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "bye")
	},
	"keep-alive": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "keep-alive")
		io.WriteString(w, "more")
	},
	"large": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("abcdefgh", 1<<10)) },
	"what was sent": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X", r.Host+r.Method+r.URL.Path+r.RequestURI+r.Header.Get("A"))
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Write(b)
		io.WriteString(w, r.Trailer.Get("T"))
	},
	"not more than 3 bytes": func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 3)); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	},
	"a file": func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), strings.NewReader("0123456789"))
	},
}

// asked are requests of many kinds.
var asked = map[string]string{
	"GET":            get,
	"HEAD":           strings.Replace(get, "GET", "HEAD", 1),
	"1.0":            strings.Replace(get, "1.1", "1.0", 1),
	"1.0 keep-alive": "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"close":          "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n",
	"a part":         "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n",
	"POST":           "POST /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
	"chunked":        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nT: u\r\n\r\n",
	"OPTIONS *":      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
}

func TestAResponseIsWhatNetHTTPMakesOfIt(t *testing.T) {
	t.Parallel()
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := httptest.NewUnstartedServer(h)
			theirs.Config.ErrorLog = log.New(io.Discard, "", 0)
			theirs.Start()
			defer theirs.Close()
			ours := newBench(t, func(*bench) http.HandlerFunc { return h })
			for kind, req := range asked {
				raw, hangup := ours.do(req)
				got := readResponse(t, bufio.NewReader(strings.NewReader(raw)), req)
				want := readResponse(t, send(t, theirs, req), req)
				if _, told := want.Header["Content-Length"]; !told { // by net/http, which has not seen the end
					if kind == "1.0 keep-alive" {
						continue
					}
					if n, ok := got.Header["Content-Length"]; ok {
						want.Header["Content-Length"] = n
					}
				}
				require.Equal(t, want, got, "%s, %s:\n%s", name, kind, raw)
				require.Equal(t, got.Close, hangup, "%s, %s: the connection ends if and only if the client is told\n%s", name, kind, raw)
				again, _ := ours.do(req)
				require.Equal(t, raw, again, "%s, %s: the same on every member", name, kind)
			}
		})
	}
}

// response is what a client sees.
type response struct {
	Proto, Status, Body string
	Header              http.Header
	Close               bool
}

func send(t *testing.T, srv *httptest.Server, req string) *bufio.Reader {
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, req)
	require.NoError(t, err)
	return bufio.NewReader(c)
}

// readResponse reads one response, and nothing may be between it and what follows. The date and hints are left out.
func readResponse(t *testing.T, r *bufio.Reader, req string) response {
	method, _, _ := strings.Cut(req, " ")
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		require.NoError(t, err)
		if resp.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Zero(t, r.Buffered(), "nothing follows the response")
		if d := resp.Header["Date"]; len(d) > 0 {
			resp.Header.Set("Date", "x")
		}
		return response{resp.Proto, resp.Status, string(body), resp.Header, resp.Close}
	}
}
