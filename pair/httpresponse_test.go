package pair

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/receive"
	"github.com/1fb4ed1c/tandem/tracked"
)

// bench is a server without a pair: its requests are handled as they would be by the loop of a member.
type bench struct {
	t   testing.TB
	svc *Service
	p   Protocol
	n   *tracked.Counter
}

// newBench serves h with a log that lets a response have 16 KiB, less some.
func newBench(t testing.TB, h func(b *bench) http.HandlerFunc) *bench {
	b := &bench{t: t, svc: Config{LogSize: 64 << 10}.New("test")}
	b.svc.m = &member{}
	b.n = Counter(b.svc, "n")
	b.svc.call.wall = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).UnixNano()
	b.p = newHTTPServer(b.svc, h(b)).protocol()
	b.svc.store.Freeze()
	return b
}

// do handles one request and returns the response, and whether the connection ends with it.
func (b *bench) do(req string) (resp string, hangup bool) {
	n, err := b.p.Cut([]byte(req))
	require.NoError(b.t, err)
	require.Len(b.t, req, n, "one whole request")
	b.svc.call.hangup = false
	b.svc.store.Begin()
	out, err := b.p.Handle(&b.svc.call, []byte(req), []byte("dst,"))
	require.NoError(b.t, err)
	b.svc.store.Commit()
	after, ok := strings.CutPrefix(string(out), "dst,")
	require.True(b.t, ok, "a reply is appended")
	return after, b.svc.call.hangup
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestAResponseIsWrittenAsExpectedToTheByte(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(*bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Z", "1")
			w.Header().Set("A", "2")
			io.WriteString(w, CallOf(r.Context()).Now().UTC().Format(time.DateTime))
		}
	})
	resp, hangup := b.do(get)
	require.Equal(t, "HTTP/1.1 200 OK\r\nA: 2\r\nZ: 1\r\nDate: Wed, 01 Jul 2026 12:00:00 GMT\r\nContent-Length: 19\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\n\r\n2026-07-01 12:00:00", resp, "the date is that of the call")
	require.False(t, hangup)
}

func TestAResponseIsAsLongAsItSays(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", r.Header.Get("Say"))
			_, err := io.WriteString(w, "hello")
			if r.Header.Get("Say") == "2" {
				require.ErrorIs(t, err, http.ErrContentLength)
				_, err = io.WriteString(w, "he")
			}
			require.NoError(t, err)
		}
	})
	say := func(n string) string { return "GET / HTTP/1.1\r\nHost: a\r\nSay: " + n + "\r\n\r\n" }
	resp, hangup := b.do(say("2"))
	require.Contains(t, resp, "Content-Length: 2\r\n")
	require.Equal(t, "he", resp[len(resp)-2:])
	require.False(t, hangup)
	resp, hangup = b.do(say("x"))
	require.Contains(t, resp, "Content-Length: 5\r\n", "what is no length is not said")
	require.False(t, hangup)
	resp, hangup = b.do(say("9"))
	require.Contains(t, resp, "Content-Length: 9\r\n")
	require.Contains(t, resp, "Connection: close\r\n")
	require.True(t, hangup, "a client that waits for more must not wait for ever")
}

func TestChangesAreKeptWhateverTheStatusUnlessTheHandlerUndoesThem(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b.n.Add(1)
			if r.URL.Path == "/undo" {
				CallOf(r.Context()).Undo()
			}
			w.WriteHeader(500)
		}
	})
	b.do(get)
	require.EqualValues(t, 1, b.n.Get())
	resp, hangup := b.do(strings.Replace(get, "/", "/undo", 1))
	require.Contains(t, resp, "HTTP/1.1 500 ")
	require.False(t, hangup)
	require.EqualValues(t, 1, b.n.Get())
}

func TestAnAbortedRequestChangesNothingAndClosesTheConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b.n.Add(1)
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}
	})
	resp, hangup := b.do(get)
	require.Empty(t, resp)
	require.True(t, hangup)
	require.Zero(t, b.n.Get())
}

func TestAnyOtherPanicGoesThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/status" {
				w.WriteHeader(42)
			}
			panic("boom")
		}
	})
	require.PanicsWithValue(t, "boom", func() { b.do(get) })
	b.svc.store.Rollback()
	require.PanicsWithValue(t, "invalid WriteHeader code 42", func() { b.do(strings.Replace(get, "/", "/status", 1)) })
}

func TestAResponseThatIsTooLargeIsAnErrorWithoutChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		blobs := Map[int, string](b.svc, "blobs")
		return func(w http.ResponseWriter, r *http.Request) {
			b.n.Add(1)
			if r.URL.Path == "/changes" {
				blobs.Set(1, strings.Repeat("x", 10<<10))
				io.WriteString(w, strings.Repeat("x", 10<<10))
				return
			}
			for range 100 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
					return
				}
			}
			panic("it must be told")
		}
	})
	for _, path := range []string{"/", "/changes"} {
		for _, method := range []string{"GET", "HEAD"} {
			req := method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
			raw, hangup := b.do(req)
			if method == "HEAD" && path == "/changes" {
				continue // it fits, without its body
			}
			resp := readResponse(t, bufio.NewReader(strings.NewReader(raw)), req)
			require.Equal(t, "500 Internal Server Error", resp.Status)
			require.False(t, hangup)
			require.Zero(t, b.n.Get(), "%s %s", method, path)
		}
	}
}

func TestAResponseIsOverWhenItsHandlerHasReturned(t *testing.T) {
	t.Parallel()
	var kept http.ResponseWriter
	var ctx context.Context
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { kept, ctx = w, r.Context() }
	})
	b.do(get)
	_, err := io.WriteString(kept, "late")
	require.ErrorIs(t, err, errResponseOver)
	kept.WriteHeader(404)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "what the handler left running may know that it is over")
}

func TestWhatIsNotSupportedIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			require.ErrorIs(t, rc.Flush(), http.ErrNotSupported)
			_, _, err := rc.Hijack()
			require.ErrorIs(t, err, http.ErrNotSupported)
			require.ErrorIs(t, rc.EnableFullDuplex(), http.ErrNotSupported)
			require.ErrorIs(t, rc.SetReadDeadline(time.Time{}), http.ErrNotSupported)
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	resp, _ := b.do(get)
	require.Contains(t, resp, "HTTP/1.1 501 Not Implemented\r\n")
}

func TestARequestThatNetHTTPCannotReadIsAnsweredAndHungUpOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(b *bench) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { panic("it must not be handled") }
	})
	resp, hangup := b.do("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n")
	require.Contains(t, resp, "HTTP/1.1 400 Bad Request\r\n")
	require.True(t, hangup)
}

func TestAFailureIsToldWithItsStatus(t *testing.T) {
	t.Parallel()
	for status, err := range map[string]error{
		"400 Bad Request":              badRequest("no"),
		"413 Request Entity Too Large": receive.ErrTooLarge,
		"500 Internal Server Error":    receive.ErrPoison,
	} {
		raw := appendFailure([]byte("HTTP/1.1 204 No Content\r\n\r\n"), err)
		r := bufio.NewReader(strings.NewReader(string(raw)))
		_, rerr := http.ReadResponse(r, nil)
		require.NoError(t, rerr)
		resp := readResponse(t, r, get)
		require.Equal(t, status, resp.Status)
		require.True(t, resp.Close)
	}
}

func TestCallOfKnowsOnlyItsOwnContexts(t *testing.T) {
	t.Parallel()
	require.Nil(t, CallOf(t.Context()))
}

func BenchmarkHTTPHandle(b *testing.B) {
	x := newBench(b, func(*bench) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }
	})
	req := []byte(get)
	var dst []byte
	for b.Loop() {
		dst, _ = x.p.Handle(&x.svc.call, req, dst[:0])
	}
}
