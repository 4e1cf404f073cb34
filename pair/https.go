package pair

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/receive"
)

// HTTPS is [HTTP] over TLS, with less to promise. The keys of a connection are in one process and end with it, so its
// clients' connections break at a takeover, and at a switch. A client whose connection broke before it had its response cannot
// know whether its request was handled; one that got a response knows that it was, once, for all time: the response leaves after
// the record. The listening socket is shared by both members, so a client that connects is never refused: it waits, at most,
// for the new primary.
//
// The certificate is in cfg, which must not be changed afterwards. Handlers find r.TLS set, but nothing in it, and 0 as
// [Call.Opener]. As for HTTP/2, see [HTTP]: it is not spoken.
func HTTPS(s *Service, addr string, cfg *tls.Config, h http.Handler) {
	t := &tlsServer{svc: s, http: newHTTPServer(s, h), conns: map[*tlsConn]bool{}, cfg: cfg.Clone()}
	t.http.tls, t.cfg.NextProtos = true, []string{"http/1.1"}
	o := s.origin(addr)
	o.start, o.stop = t.start, t.stop
	name := fmt.Sprintf("https\x00%d", len(s.origins))
	t.method = &method{name: name, tag: []byte(name), run: t.run, fail: appendFailure}
	s.handlers[name] = t.method
}

// tlsServer serves the connections of one address, each with a goroutine of its own. The requests are handled by the loop
// of the member.
type tlsServer struct {
	svc    *Service
	http   *httpServer
	cfg    *tls.Config
	method *method
	work   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil: this member is not the primary
	conns    map[*tlsConn]bool
}

// tlsConn is the connection of one client.
type tlsConn struct {
	*tls.Conn
	remote string
	in     []byte // read, not handled yet
	told   bool   // to continue with the request that begins in
	busy   bool   // a request of it is being answered
}

const (
	handshakeWithin = 10 * time.Second
	acceptPause     = 50 * time.Millisecond  // when there are no descriptors
	lingerWithin    = 500 * time.Millisecond // for a client to read an error while it still sends, as in net/http
	readSize        = 4 << 10                // bytes
)

// start begins to accept, on the socket of both members.
func (t *tlsServer) start(fd int) {
	l, err := listenerOf(fd)
	if err != nil {
		t.svc.m.log.Error("cannot accept TLS connections", "cause", err)
		return
	}
	t.mu.Lock()
	t.listener = l
	t.mu.Unlock()
	t.work.Go(func() { t.accept(l) })
}

func listenerOf(fd int) (net.Listener, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(own), "listener")
	defer f.Close()
	return net.FileListener(f)
}

// stop ends what start began. A request that is being answered is answered first, unless the member ends: this is the
// loop's goroutine, and others wait for it.
func (t *tlsServer) stop() {
	t.mu.Lock()
	if t.listener != nil {
		_ = t.listener.Close()
		t.listener = nil
	}
	ends := t.svc.m.closing.Load()
	for c := range t.conns {
		if ends || !c.busy {
			t.work.Go(func() { _ = c.Close() }) // may say goodbye, and wait for that
		}
	}
	t.mu.Unlock()
	if ends {
		t.work.Wait()
	}
}

func (t *tlsServer) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			t.admit(l, c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			t.svc.m.log.Error("cannot accept a connection", "cause", err)
			time.Sleep(acceptPause)
		}
	}
}

func (t *tlsServer) admit(l net.Listener, c net.Conn) {
	k := &tlsConn{Conn: tls.Server(c, t.cfg), remote: c.RemoteAddr().String()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener != l {
		_ = c.Close()
		return
	}
	t.conns[k] = true
	t.work.Go(func() {
		t.serve(k)
		_ = k.Close()
		t.mu.Lock()
		delete(t.conns, k)
		t.mu.Unlock()
	})
}

// begin tells whether a request of c may still be handled.
func (t *tlsServer) begin(c *tlsConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.busy = t.listener != nil
	return c.busy
}

// end tells whether c may go on.
func (t *tlsServer) end(c *tlsConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.busy = false
	return t.listener != nil
}

// serve answers the requests of one client, in their order.
func (t *tlsServer) serve(c *tlsConn) {
	if err := handshake(c); err != nil {
		t.svc.m.log.Info("TLS handshake failed", "peer", c.remote, "cause", err)
		return
	}
	for {
		n, err := t.next(c)
		if err != nil {
			linger(c, appendFailure(nil, err))
			return
		}
		if n == 0 || !t.begin(c) {
			return
		}
		a := t.ask(c.remote, c.in[:n])
		if !a.ok {
			return
		}
		_, err = c.Write(a.reply)
		if !t.end(c) || err != nil || a.hangup {
			return
		}
		c.in, c.told = c.in[:copy(c.in, c.in[n:])], false
	}
}

func handshake(c *tlsConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeWithin)
	defer cancel()
	err := c.HandshakeContext(ctx)
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil && httpBytes[plain.RecordHeader[0]].token() { // as net/http does
		_, _ = plain.Conn.Write(appendFailure(nil, badRequest("HTTPS is spoken here, not HTTP")))
	}
	return err
}

// next reads until c.in begins with a whole request, and returns its length; 0: the client is gone.
func (t *tlsServer) next(c *tlsConn) (n int, err error) {
	for cut := t.http.cutter(); ; {
		if len(c.in) > 0 {
			if n, err = cut.cut(c.in); n > 0 || err != nil {
				return n, err
			}
			if !c.told {
				say := cut.interim(c.in, nil)
				c.told = len(say) > 0
				_, _ = c.Write(say) // an error shows at the next read
			}
		}
		if cap(c.in)-len(c.in) < readSize {
			c.in = append(make([]byte, 0, 2*cap(c.in)+readSize), c.in...)
		}
		n, err := c.Read(c.in[len(c.in):cap(c.in)])
		if c.in = c.in[:len(c.in)+n]; n == 0 && err != nil {
			return 0, nil
		}
	}
}

// linger says the last word to a client that may still be sending: if the connection were closed before that has come, the
// word would be lost.
func linger(c *tlsConn, last []byte) {
	_ = c.SetDeadline(time.Now().Add(lingerWithin))
	_, _ = c.Write(last)
	_ = c.CloseWrite()
	_, _ = io.Copy(io.Discard, c)
}

// answer is what became of a request.
type answer struct {
	reply  []byte
	hangup bool
	ok     bool // false: it was not handled, or nobody may say so any more
}

// ask has a request handled by the loop.
func (t *tlsServer) ask(remote string, req []byte) answer {
	m := t.svc.m
	body := append([]byte(remote+"\x00"), req...)
	done := make(chan answer, 1)
	m.mail.post(func() { done <- t.handle(body) })
	select {
	case a := <-done:
		return a
	case <-m.quit:
		return answer{}
	}
}

// handle handles one request, as any other: what may be said of it is said after the commit. Nobody can repeat it, so the
// response is not kept.
func (t *tlsServer) handle(body []byte) answer {
	s, m := t.svc, t.svc.m
	if m.left || m.roles.role != Primary || !m.serving {
		return answer{}
	}
	m.point(PointRead)
	r := requestRecord{wall: m.wall(), mono: int64(m.now), seed: rand.Uint64(), method: t.method.tag, body: body}
	code, survived := s.runAlone(&r)
	if survived {
		return answer{appendFailure(nil, receive.ErrPoison), true, true}
	}
	a := answer{bytes.Clone(s.out), s.call.hangup, true}
	s.out = s.out[:0]
	s.ship(&r, code)
	m.requests++
	if !m.commit() || !m.effect() {
		return answer{}
	}
	m.point(PointAppended)
	m.firstReply()
	return a
}

// run is the method that requests and their records name.
func (t *tlsServer) run(c *Call, body, dst []byte) ([]byte, error) {
	remote, req, _ := bytes.Cut(body, []byte{0})
	c.remote = string(remote)
	defer func() { c.remote = "" }()
	return t.http.handle(c, req, dst)
}
