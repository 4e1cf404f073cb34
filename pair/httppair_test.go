package pair_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

// web is a service for clients that know nothing of pairs, over HTTP and, if a certificate is given, over TLS.
func web(cfg pair.Config) *pair.Service {
	svc := cfg.New("web")
	n := pair.Counter(svc, "n")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		c := pair.CallOf(r.Context())
		fmt.Fprintf(w, "%d %d %s", n.Add(1), c.Rand().Int64(), r.URL.RawQuery)
	})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, n.Get()) })
	mux.HandleFunc("POST /sum", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, "%d %d", len(b), crc32.ChecksumIEEE(b))
	})
	mux.HandleFunc("POST /panic", func(w http.ResponseWriter, r *http.Request) { n.Add(1000); panic("as asked") })
	mux.HandleFunc("POST /abort", func(w http.ResponseWriter, r *http.Request) { n.Add(1000); panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /from", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr, " ", r.TLS != nil) })
	pair.HTTP(svc, "127.0.0.1:0", mux)
	if file := os.Getenv(envCert); file != "" {
		cert, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			panic(err)
		}
		pair.HTTPS(svc, "localhost:0", &tls.Config{Certificates: []tls.Certificate{cert}}, mux)
	}
	return svc
}

// keeper returns a client that keeps its connection from one request to the next. The test fails if it is lost.
func keeper(t *testing.T) *http.Client {
	tr := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &keptConn{c, t}, err
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// keptConn is a connection that only the client may close. (It does so, and makes another, when this process was starved for
// so long that it cannot tell whether it has sent its request.)
type keptConn struct {
	net.Conn
	t *testing.T
}

// Read implements net.Conn.
func (c *keptConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.t.Errorf("broken promise: a client's connection outlives its server: %v", err)
	}
	return n, err
}

// fetch makes one request and returns the body of the response, which must be fine.
func fetch(t require.TestingT, c *http.Client, method, url string, body io.Reader) string {
	req, err := http.NewRequest(method, url, body)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err, "broken promise: every request is answered")
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", b)
	return string(b)
}

func url(p *pairtest.Pair, path string) string { return "http://" + p.Status().Listen[0] + path }

// counted is what the service says.
func counted(t *testing.T, p *pairtest.Pair) int {
	n, err := strconv.Atoi(fetch(t, keeper(t), "GET", url(p, "/count"), nil))
	require.NoError(t, err)
	return n
}

// killing kills so many primaries, each as soon as the pair is protected and has answered once more: a request that was in
// hand when a primary died may have waited for the protection, and would count as poison if it were hit once more.
func killing(t *testing.T, p *pairtest.Pair, times int) {
	t.Helper()
	for range times {
		s := p.WaitProtected()
		counted(t, p)
		p.Kill(s.Primary)
		p.WaitStatus("the takeover", func(now pairtest.Status) bool { return now.Primary == s.Backup })
	}
}

func TestHTTPClientsWithKeepAliveNeverNoticeATakeover(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "web", set(envMode, mode), set(envSnapshot, 100))
		stop := make(chan struct{})
		var work sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]bool{}
		for i := range 4 {
			c, at := keeper(t), url(p, "/count?"+strconv.Itoa(i))
			work.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					got := fetch(elsewhere{t}, c, "POST", at, nil)
					mu.Lock()
					if seen[got] {
						t.Errorf("broken promise: every request is handled once; %q was answered twice", got)
					}
					seen[got] = true
					mu.Unlock()
				}
			})
		}
		killing(t, p, 4**long)
		p.WaitProtected()
		require.NoError(t, p.Switch())
		killing(t, p, 1)
		close(stop)
		work.Wait()
		require.NotEmpty(t, seen, "this run proves nothing: nothing was counted")
		require.Equal(t, len(seen), counted(t, p), "broken promise: what was answered is in the state, once, and nothing else is")
	})
}

// elsewhere is a test in another goroutine than its own.
type elsewhere struct{ t *testing.T }

func (e elsewhere) Errorf(format string, args ...any) { e.t.Errorf(format, args...) }
func (e elsewhere) FailNow()                          { runtime.Goexit() }

// A primary dies in every gap between two steps of a request's life, while requests are pipelined in pieces cut anywhere.
func TestPipelinedHTTPRequestsAreAnsweredInOrderAcrossKills(t *testing.T) {
	t.Parallel()
	for _, point := range pair.Points() {
		t.Run(point.String(), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "hits")
			p := start(t, "web", set(envPoint, int(point)), set(envHits, file))
			c := dialHTTP(t, p)
			sent := 0
			for _, hits := range []int{1, 7} {
				doomed := p.WaitProtected().Primary
				require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(hits)), 0o600))
				p.Signal(doomed, unix.SIGUSR1)
				for takeovers := p.Status().Takeovers; p.Status().Takeovers == takeovers; sent += 20 {
					c.pipeline(sent, 20)
				}
				p.WaitDead(doomed)
			}
			require.Equal(t, sent, counted(t, p), "broken promise: every request is handled once")
		})
	}
}

// rawHTTP is a client that writes bytes.
type rawHTTP struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dialHTTP(t *testing.T, p *pairtest.Pair) *rawHTTP {
	t.Helper()
	conn, err := net.Dial("tcp", p.Status().Listen[0])
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return &rawHTTP{t, conn, bufio.NewReader(conn)}
}

func (c *rawHTTP) write(s string) {
	c.t.Helper()
	_, err := io.WriteString(c.conn, s)
	require.NoError(c.t, err, "broken promise: a client's connection outlives its server")
}

// read reads one response and returns its body.
func (c *rawHTTP) read() (status int, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err, "broken promise: a client's connection outlives its server")
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(b)
}

// closed requires that the connection has ended.
func (c *rawHTTP) closed() {
	c.t.Helper()
	_, err := c.in.ReadByte()
	require.Error(c.t, err)
	require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded, "the connection goes on")
}

// pipeline counts n times, of which sent were counted before, in pieces.
func (c *rawHTTP) pipeline(sent, n int) {
	c.t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "POST /count?%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", sent+i)
	}
	for text, piece := b.String(), 1; text != ""; piece = piece*3 + 1 {
		k := min(piece%997, len(text))
		c.write(text[:k])
		text = text[k:]
	}
	for i := range n {
		status, body := c.read()
		require.Equal(c.t, 200, status)
		require.Regexp(c.t, fmt.Sprintf(`^%d -?\d+ %d$`, sent+i+1, sent+i), body, "broken promise: the replies come in order, each once")
	}
}

func TestALargeHTTPRequestIsTakenInAcrossATakeover(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "web", set(envMode, mode))
		body := bytes.Repeat([]byte("0123456789abcdef"), 200<<10/16)
		c := dialHTTP(t, p)
		c.write(fmt.Sprintf("POST /sum HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n", len(body)))
		p.Kill(p.WaitProtected().Primary)
		c.write("\r\n")
		resp, err := http.ReadResponse(c.in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusContinue, resp.StatusCode, "a client that waits is told to go on, though its headers came in two parts")
		c.write(string(body[:100<<10]))
		p.Kill(p.WaitProtected().Primary)
		c.write(string(body[100<<10:]))
		status, text := c.read()
		require.Equal(t, 200, status)
		require.Equal(t, fmt.Sprintf("%d %d", len(body), crc32.ChecksumIEEE(body)), text)
		c.pipeline(0, 2)
	})
}

func TestBadHTTPRequestsAreAnsweredAndHungUpOn(t *testing.T) {
	t.Parallel()
	p := start(t, "web")
	good := dialHTTP(t, p)
	for _, bad := range []struct {
		status int
		req    string
	}{
		{400, "nonsense\r\n\r\n"},
		{400, "\x16\x03\x01\x02\x00\x01\x00\x01"}, // TLS
		{505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{413, "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: a\r\nB: " + strings.Repeat("c", 300<<10)},
		{400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /count HTTP/1.1\r\nHost: a\r\n\r\n"},
	} {
		c := dialHTTP(t, p)
		go func() { _, _ = io.WriteString(c.conn, bad.req) }()
		status, _ := c.read()
		require.Equal(t, bad.status, status, "%.40q", bad.req)
		c.closed()
	}
	abort := dialHTTP(t, p)
	abort.write("POST /abort HTTP/1.1\r\nHost: a\r\n\r\n")
	abort.closed()
	old := dialHTTP(t, p)
	old.write("GET /count HTTP/1.0\r\n\r\n")
	status, body := old.read()
	require.Equal(t, 200, status)
	require.Equal(t, "0", body, "an aborted request has changed nothing")
	old.closed()
	good.pipeline(0, 3)
}

func TestAnHTTPRequestThatKillsItsServerIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "web")
	c := dialHTTP(t, p)
	c.write("POST /panic HTTP/1.1\r\nHost: a\r\n\r\n")
	status, body := c.read()
	require.Equal(t, 500, status)
	require.Contains(t, body, "not tried again")
	require.Zero(t, counted(t, p))
	require.NotZero(t, p.WaitProtected().Takeovers)
}

func TestAHandlerKnowsItsClient(t *testing.T) {
	t.Parallel()
	p := start(t, "web")
	c := dialHTTP(t, p)
	c.write("GET /from HTTP/1.1\r\nHost: a\r\n\r\n")
	_, body := c.read()
	require.Equal(t, c.conn.LocalAddr().String()+" false", body)
}
