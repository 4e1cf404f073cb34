package pair_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pairtest"
)

// raw is a requester without any of package receive's manners: it says on the wire what a test wants said, and sees
// every answer.
type raw struct {
	t       *testing.T
	fd      int
	buf     []byte
	welcome wire.Welcome
	waiting []wire.Frame // received, not looked at
}

// connectRaw connects to a pair and says nothing.
func connectRaw(t *testing.T, p *pairtest.Pair) *raw {
	t.Helper()
	path, err := registry.SocketPath(p.Dir(), p.Name())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fd, err := sock.Dial(ctx, path)
	require.NoError(t, err)
	r := &raw{t: t, fd: fd, buf: make([]byte, wire.MaxPacket+1)}
	t.Cleanup(r.hangUp)
	return r
}

// hangUp closes the connection, once: by then the number may belong to another test.
func (r *raw) hangUp() {
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// openRaw opens a pair.
func openRaw(t *testing.T, p *pairtest.Pair, hello wire.Hello) *raw {
	t.Helper()
	r := connectRaw(t, p)
	hello.Role = wire.RoleRequester
	body, err := wire.Marshal(&hello)
	require.NoError(t, err)
	r.send(wire.Frame{Kind: wire.KindHello, Body: body})
	f := r.next()
	require.Equal(t, wire.KindWelcome, f.Kind, "%s", f.Body)
	require.NoError(t, wire.Unmarshal(f.Body, &r.welcome))
	return r
}

// send sends frames in one packet.
func (r *raw) send(frames ...wire.Frame) {
	r.t.Helper()
	pkt := wire.Begin(nil)
	var err error
	for i := range frames {
		pkt, err = wire.Append(pkt, &frames[i])
		require.NoError(r.t, err)
	}
	wire.Finish(pkt, r.welcome.Epoch)
	r.sendBytes(pkt)
}

func (r *raw) sendBytes(b []byte) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := sock.Send(r.fd, b)
		if err == nil {
			return
		}
		require.ErrorIs(r.t, err, sock.ErrAgain)
		require.True(r.t, time.Now().Before(end), "the pair does not read")
	}
}

// request is a request as it goes on the wire. Everything from ID low on may be asked for again.
func request(id, low uint64, method string, arg any) wire.Frame {
	body, err := msgpack.Marshal(arg)
	if err != nil {
		panic(err)
	}
	return wire.Frame{Kind: wire.KindRequest, ID: id, Low: low, Method: []byte(method), Body: body}
}

// next returns the next frame.
func (r *raw) next() wire.Frame {
	r.t.Helper()
	f, ok := r.poll(patience)
	require.True(r.t, ok, "broken promise: every request is answered; nothing came within %v", patience)
	return f
}

// poll returns the next frame, if one comes in time.
func (r *raw) poll(within time.Duration) (f wire.Frame, ok bool) {
	r.t.Helper()
	for end := time.Now().Add(within); len(r.waiting) == 0; {
		n, err := sock.Recv(r.fd, r.buf)
		if err == nil {
			r.unpack(r.buf[:n])
			continue
		}
		require.ErrorIs(r.t, err, sock.ErrAgain, "broken promise: no connection is lost")
		left := time.Until(end)
		if left <= 0 {
			return f, false
		}
		_, err = sock.WaitReadable(r.fd, left)
		require.NoError(r.t, err)
	}
	f, r.waiting = r.waiting[0], r.waiting[1:]
	return f, true
}

func (r *raw) unpack(b []byte) {
	r.t.Helper()
	pkt, err := wire.Parse(b)
	require.NoError(r.t, err, "a pair sends well-formed packets")
	r.welcome.Epoch = max(r.welcome.Epoch, pkt.Epoch())
	for {
		var f wire.Frame
		ok, err := pkt.Next(&f)
		require.NoError(r.t, err)
		if !ok {
			return
		}
		f.Body = append([]byte(nil), f.Body...)
		r.waiting = append(r.waiting, f)
	}
}

// closed waits until the pair has closed the connection, and returns what it had said before.
func (r *raw) closed() (said []wire.Frame) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; {
		n, err := sock.Recv(r.fd, r.buf)
		switch err {
		case nil:
			r.unpack(r.buf[:n])
		case sock.ErrAgain:
			require.True(r.t, time.Now().Before(end), "the pair did not close the connection within %v", patience)
			_, _ = sock.WaitReadable(r.fd, 10*time.Millisecond)
		default:
			return r.waiting
		}
	}
}

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	require.NoError(t, msgpack.Unmarshal(b, v))
}

// pollOrEnd returns the next frame, or false at the end of the connection.
func (r *raw) pollOrEnd() (f wire.Frame, ok bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); len(r.waiting) == 0; {
		n, err := sock.Recv(r.fd, r.buf)
		switch err {
		case nil:
			r.unpack(r.buf[:n])
		case sock.ErrAgain:
			require.True(r.t, time.Now().Before(end), "broken promise: every request is answered; nothing came within %v", patience)
			_, _ = sock.WaitReadable(r.fd, 10*time.Millisecond)
		default:
			return f, false
		}
	}
	f, r.waiting = r.waiting[0], r.waiting[1:]
	return f, true
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
