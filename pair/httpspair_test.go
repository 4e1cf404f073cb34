package pair_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

// startTLS starts the web service with a certificate that is made for it.
func startTLS(t *testing.T, env ...string) *pairtest.Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	file := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return start(t, "web", append(env, set(envCert, file))...)
}

// trusting is a client's configuration: the tests are about connections, not about whom to believe.
var trusting = &tls.Config{InsecureSkipVerify: true}

// tlsClient keeps its connection for as long as it lives, or makes a new one for every request.
func tlsClient(t *testing.T, keep bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: trusting.Clone(), DisableKeepAlives: !keep, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func tlsURL(p *pairtest.Pair, path string) string { return "https://" + p.Status().Listen[1] + path }

func TestTLSRequestsAreHandledOnceAndOutliveKills(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := startTLS(t, set(envMode, mode), set(envSnapshot, 7))
		for range 3 {
			c := tlsClient(t, true)
			for range 10 {
				fetch(t, c, "POST", tlsURL(p, "/count"), strings.NewReader("body"))
			}
			killing(t, p, 1)
		}
		p.WaitProtected()
		require.NoError(t, p.Switch())
		require.Equal(t, "30", fetch(t, tlsClient(t, false), "GET", tlsURL(p, "/count"), nil), "broken promise: what was answered is in the state, once")
		require.Equal(t, 30, counted(t, p), "and every way leads to the same state")
	})
}

// Clients connect anew for every request, while primaries are killed. What is under way then is lost, but nobody is ever
// refused.
func TestNoTLSConnectIsEverRefused(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	at := tlsURL(p, "/count")
	stop := make(chan struct{})
	var work sync.WaitGroup
	var answered, unknown atomic.Int64
	for range 3 {
		c := tlsClient(t, false)
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Post(at, "", nil)
				var op *net.OpError
				switch {
				case err == nil:
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					answered.Add(1)
				case errors.As(err, &op) && op.Op == "dial":
					t.Errorf("broken promise: no connect is refused: %v", err)
					return
				default:
					unknown.Add(1)
				}
			}
		})
	}
	killing(t, p, 5**long)
	p.WaitProtected()
	require.NoError(t, p.Switch())
	close(stop)
	work.Wait()
	n := int64(counted(t, p))
	require.NotZero(t, answered.Load(), "this run proves nothing: no request was answered")
	require.LessOrEqual(t, answered.Load(), n, "broken promise: what was answered is in the state")
	require.GreaterOrEqual(t, answered.Load()+unknown.Load(), n, "broken promise: nothing is done that nobody asked for")
}

// rawTLS is a client that writes bytes over TLS.
func rawTLS(t *testing.T, p *pairtest.Pair) *rawHTTP {
	t.Helper()
	conn, err := tls.Dial("tcp", p.Status().Listen[1], trusting)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return &rawHTTP{t, conn, bufio.NewReader(conn)}
}

func TestTLSClientsAreAnsweredLikeOthers(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	c := rawTLS(t, p)
	c.pipeline(0, 20)
	c.write("GET /from HTTP/1.1\r\nHost: a\r\n\r\n")
	_, body := c.read()
	require.Equal(t, c.conn.LocalAddr().String()+" true", body, "a handler knows its client, and that it came over TLS")

	c.write("POST /sum HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
	resp, err := http.ReadResponse(c.in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusContinue, resp.StatusCode)
	c.write(string(bytes.Repeat([]byte("x"), 100000)))
	status, body := c.read()
	require.Equal(t, 200, status)
	require.True(t, strings.HasPrefix(body, "100000 "), "%s", body)

	c.write("POST /abort HTTP/1.1\r\nHost: a\r\n\r\n")
	c.closed()

	c = rawTLS(t, p)
	c.write("POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 300000))
	status, _ = c.read()
	require.Equal(t, 413, status, "a client that still sends gets the answer")
	c.closed()
	require.Equal(t, 20, counted(t, p))
}

func TestAClientThatSpeaksNoTLSIsTold(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	conn, err := net.Dial("tcp", p.Status().Listen[1])
	require.NoError(t, err)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	rawTLS(t, p).pipeline(0, 1)
}

// With its connection a TLS client loses what it was about to say; with nobody to repeat it, its request is not tried again.
func TestATLSRequestThatKillsItsServerIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	c := rawTLS(t, p)
	c.write("POST /panic HTTP/1.1\r\nHost: a\r\n\r\n")
	c.closed()
	p.WaitStatus("the takeover", func(s pairtest.Status) bool { return s.Takeovers == 1 })
	p.WaitProtected()
	rawTLS(t, p).pipeline(0, 1)
}

func TestATLSConnectionEndsAtASwitchBetweenTwoRequests(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	idle, c := rawTLS(t, p), rawTLS(t, p)
	idle.pipeline(0, 1)
	var last int
	var done sync.WaitGroup
	done.Go(func() {
		for {
			if _, err := io.WriteString(c.conn, "POST /count HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				return
			}
			resp, err := http.ReadResponse(c.in, nil)
			if err != nil {
				return
			}
			b, _ := io.ReadAll(resp.Body)
			_, _ = fmt.Sscan(string(b), &last)
		}
	})
	require.NoError(t, p.Switch())
	idle.closed()
	done.Wait()
	n := counted(t, p)
	require.True(t, n == last || n == last+1, "%d were counted, and %d answered", n, last)
	rawTLS(t, p).pipeline(n, 1)
}
