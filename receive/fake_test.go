package receive

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// fakePair is a server for tests: it speaks the wire, keeps saved replies as a
// pair does, and changes its primary, loses requests and breaks connections
// when it is told to.
type fakePair struct {
	root, path string

	mu       sync.Mutex
	lfd      int
	instance string
	epoch    uint32
	openers  Openers
	runs     map[string]int // how often each request was run
	order    []string       // bodies in the order in which they were run
	conns    map[*fakeConn]bool
	depth    int // most sync depth it grants, 0: what is asked for

	// swallow, if set, is asked for each request whether it is lost unread, as
	// with a primary that dies before it has committed it.
	swallow func(f *wire.Frame) bool
	// mute, if set, is asked whether the reply is lost: the primary dies after
	// it has committed the request.
	mute func(f *wire.Frame) bool
	// code, if set, gives the code to answer with.
	code func(f *wire.Frame) int
	// refuse is the code with which a hello is refused, 0 for a welcome.
	refuse int
	// deaf makes it read nothing but accept connections.
	deaf bool

	hellos  int
	byes    int
	cancels chan uint64
	wg      sync.WaitGroup
}

type fakeConn struct {
	fd     int
	opener uint64
	dead   bool
}

// tempRoot is a run directory. Not t.TempDir: its path may be too long for a socket.
func tempRoot(t testing.TB) string {
	t.Helper()
	root, err := os.MkdirTemp("", "receive")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	return root
}

func serveFake(t testing.TB) *fakePair {
	t.Helper()
	p, err := newFake(tempRoot(t))
	require.NoError(t, err)
	t.Cleanup(p.stop)
	return p
}

func newFake(root string) (*fakePair, error) {
	path, err := registry.SocketPath(root, "bank")
	if err != nil {
		return nil, err
	}
	p := &fakePair{
		root: root, path: path, instance: "one", epoch: 1, lfd: -1,
		runs: make(map[string]int), conns: make(map[*fakeConn]bool), cancels: make(chan uint64, 1000),
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return p, p.listen()
}

func (p *fakePair) listen() error {
	fd, err := sock.Listen(p.path)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return err
	}
	p.with(func() { p.lfd = fd })
	p.wg.Add(1)
	go p.accept(fd)
	return nil
}

// stop ends the whole pair: no listener, no connection, no goroutine.
func (p *fakePair) stop() {
	p.mu.Lock()
	if p.lfd >= 0 {
		_ = unix.Shutdown(p.lfd, unix.SHUT_RDWR)
		p.lfd = -1
	}
	p.mu.Unlock()
	p.dropConns()
	p.wg.Wait()
}

// restart is a new instance under the same name.
func (p *fakePair) restart(t testing.TB, instance string) {
	p.stop()
	p.mu.Lock()
	p.instance, p.epoch, p.openers = instance, 1, Openers{}
	p.mu.Unlock()
	require.NoError(t, p.listen())
}

// dropConns breaks every connection; the openers stay.
func (p *fakePair) dropConns() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.dead = true
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
}

// takeover makes a new primary speak on the connections, which stay.
func (p *fakePair) takeover(planned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	f := wire.Frame{Kind: wire.KindNotice}
	if planned {
		f.Flags = wire.FlagPlanned
	}
	for c := range p.conns {
		p.send(c, &f)
	}
}

func (p *fakePair) accept(lfd int) {
	defer p.wg.Done()
	defer unix.Close(lfd)
	for {
		fd, _, err := unix.Accept4(lfd, unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return
		}
		c := &fakeConn{fd: fd}
		p.mu.Lock()
		if p.lfd != lfd {
			unix.Close(fd)
			p.mu.Unlock()
			return
		}
		p.conns[c] = true
		p.mu.Unlock()
		p.wg.Add(1)
		go p.serve(c)
	}
}

func (p *fakePair) serve(c *fakeConn) {
	defer p.wg.Done()
	buf, out := receiveBuffer(), []byte(nil)
	for {
		n, err := unix.Read(c.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			break
		}
		p.mu.Lock()
		if !c.dead && !p.deaf {
			out = p.handle(c, buf[:n], out)
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	delete(p.conns, c)
	unix.Close(c.fd)
	p.mu.Unlock()
}

// handle answers a packet with at most one, and returns the room of that.
func (p *fakePair) handle(c *fakeConn, pkt, room []byte) []byte {
	in, err := wire.Parse(pkt)
	if err != nil {
		return room
	}
	out := wire.Begin(room[:0])
	empty := len(out)
	var f wire.Frame
	for {
		more, err := in.Next(&f)
		if err != nil || !more {
			break
		}
		var r wire.Frame
		switch f.Kind {
		case wire.KindHello:
			r = p.hello(c, f.Body)
		case wire.KindRequest:
			r = p.request(c, &f)
		case wire.KindCancel:
			p.cancels <- f.ID
		case wire.KindBye:
			p.byes++
			p.openers.Close(c.opener)
		}
		if r.Kind != 0 {
			if !wire.Fits(out, &r) {
				p.transmit(c, out)
				out = wire.Begin(out[:0])
			}
			out, _ = wire.Append(out, &r)
		}
	}
	if len(out) > empty {
		p.transmit(c, out)
	}
	return out
}

func (p *fakePair) hello(c *fakeConn, body []byte) wire.Frame {
	p.hellos++
	var h wire.Hello
	if err := wire.Unmarshal(body, &h); err != nil {
		panic(err)
	}
	if p.refuse != 0 {
		return wire.Frame{Kind: wire.KindRefuse, Low: code64(p.refuse), Body: []byte("refused by the test")}
	}
	var o *Opener
	var err error
	if h.Opener == 0 {
		if p.depth > 0 {
			h.Depth = min(h.Depth, p.depth)
		}
		o, err = p.openers.Open(Identity{Cookie: h.Cookie, Depth: h.Depth, Window: h.Window, PID: h.PID})
	} else if o, err = p.openers.Resume(h.Opener, h.Cookie, 0); err == nil && h.Instance != p.instance {
		err = ErrWrongID
	}
	if err != nil {
		code, text := Describe(err)
		return wire.Frame{Kind: wire.KindRefuse, Low: code64(code), Body: []byte(text)}
	}
	c.opener = o.ID
	w, err := wire.Marshal(wire.Welcome{Instance: p.instance, Epoch: p.epoch, Opener: o.ID, Cookie: o.Cookie, Depth: o.Depth})
	if err != nil {
		panic(err)
	}
	return wire.Frame{Kind: wire.KindWelcome, Body: w}
}

func (p *fakePair) request(c *fakeConn, f *wire.Frame) wire.Frame {
	r := wire.Frame{Kind: wire.KindReply, ID: f.ID}
	if p.swallow != nil && p.swallow(f) {
		return wire.Frame{}
	}
	if p.code != nil {
		if code := p.code(f); code != 0 {
			r.Low, r.Body = code64(code), []byte("by the test")
			return r
		}
	}
	o := p.openers.Lookup(c.opener)
	if o == nil {
		r.Low = code64(codeOf(ErrWrongID))
		return r
	}
	switch o.Decide(f.ID, f.Low) {
	case Run:
		o.Begin(f.ID)
		code, reply := p.run(c, f)
		o.Save(f.ID, int64(code), reply)
		r.Low, r.Body = code64(code), reply
	case Saved:
		code, reply, _ := o.Saved(f.ID)
		r.Low, r.Body = uint64(code), reply
	default:
		r.Low = code64(codeOf(ErrTooOld))
	}
	if p.mute != nil && p.mute(f) {
		return wire.Frame{}
	}
	return r
}

// run applies a request. Its reply is its body, but for the methods "fail" and "who".
func (p *fakePair) run(c *fakeConn, f *wire.Frame) (int, []byte) {
	if string(f.Method) == "bench" {
		return 0, f.Body
	}
	p.runs[fmt.Sprintf("%d/%d", c.opener, f.ID)]++
	p.order = append(p.order, string(f.Body))
	switch string(f.Method) {
	case "fail":
		return 300, []byte("insufficient funds")
	case "id":
		return 0, []byte(fmt.Sprint(f.ID))
	}
	return 0, f.Body
}

// ran returns how often a request with this body was run.
func (p *fakePair) ran(body string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.order {
		if b == body {
			n++
		}
	}
	return n
}

// requireOnce fails if any request was run twice.
func (p *fakePair) requireOnce(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, n := range p.runs {
		require.Equal(t, 1, n, "exactly once is broken: request %s was run %d times", id, n)
	}
}

func (p *fakePair) with(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *fakePair) send(c *fakeConn, f *wire.Frame) {
	pkt, err := wire.Append(wire.Begin(nil), f)
	if err != nil {
		panic(err)
	}
	p.transmit(c, pkt)
}

// transmit waits for room, and may fail when the requester has gone.
func (p *fakePair) transmit(c *fakeConn, pkt []byte) {
	wire.Finish(pkt, p.epoch)
	_, _ = unix.Write(c.fd, pkt)
}

func (p *fakePair) dial(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), "bank", append([]Option{RunDir(p.root)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func code64(code int) uint64 { return uint64(int64(code)) }

func hasPrefix(prefix string) func(*wire.Frame) bool {
	return func(f *wire.Frame) bool { return strings.HasPrefix(string(f.Body), prefix) }
}
