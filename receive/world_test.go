package receive

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// world is a session, a server, and what is on its way between them, without
// I/O, goroutines or time.
type world struct {
	t        *rapid.T
	s        *session
	room     []byte
	instance string
	epoch    uint32
	openers  Openers // of the primary
	backup   Openers // of its backup, after each commit
	there    [][]byte
	back     [][]byte
	linked   bool
	runs     map[string]int
	calls    map[string]*call // by body, until their end was seen
	names    int
	clock    time.Time
	lowest   uint64
}

func newWorld(t *rapid.T, depth, window int) *world {
	w := &world{
		t: t, s: newSession("bank", depth, window), instance: "one", epoch: 1,
		runs: make(map[string]int), calls: make(map[string]*call), clock: time.Unix(1, 0),
	}
	w.s.cookie = 99
	return w
}

// link connects, if it is not, and says hello.
func (w *world) link() {
	if w.linked {
		return
	}
	w.linked = true
	w.hello()
}

func (w *world) hello() {
	body, err := wire.Marshal(w.s.hello())
	require.NoError(w.t, err)
	w.there = append(w.there, pack(w.t, 0, wire.Frame{Kind: wire.KindHello, Body: body}))
}

// cut breaks the connection: what was on its way is lost.
func (w *world) cut() {
	w.there, w.back, w.linked = nil, nil, false
	w.s.lost()
}

func pack(t require.TestingT, epoch uint32, f wire.Frame) []byte {
	b, err := wire.Pack(nil, epoch, &f)
	require.NoError(t, err)
	return b
}

func (w *world) start() {
	w.names++
	k := &call{wake: make(chan struct{}, 1), method: []byte("m"), body: fmt.Appendf(nil, "call %d", w.names)}
	require.NoError(w.t, w.s.start(k))
	w.calls[string(k.body)] = k
}

// send lets one packet leave.
func (w *world) send() {
	pkt := w.s.fill(w.room)
	if len(pkt) > 0 {
		wire.Finish(pkt, w.s.epoch)
		w.there = append(w.there, append([]byte(nil), pkt...))
	}
	w.room = pkt
}

// serve lets the server handle one packet. With lose it dies after having
// committed the first of its requests: no reply leaves, the rest is unread.
func (w *world) serve(lose bool) {
	if len(w.there) == 0 {
		return
	}
	p, err := wire.Parse(w.there[0])
	require.NoError(w.t, err)
	w.there = w.there[1:]
	var f wire.Frame
	for {
		more, err := p.Next(&f)
		require.NoError(w.t, err)
		if !more {
			return
		}
		r, ok := w.handle(&f)
		if ok && lose {
			return
		}
		if ok {
			w.back = append(w.back, pack(w.t, w.epoch, r))
		}
	}
}

func (w *world) handle(f *wire.Frame) (wire.Frame, bool) {
	if f.Kind == wire.KindHello {
		return w.welcome(f.Body), true
	}
	if f.Kind != wire.KindRequest {
		return wire.Frame{}, false
	}
	require.GreaterOrEqual(w.t, f.Low, w.lowest, "the lowest unanswered ID must not go back")
	require.Less(w.t, f.ID-f.Low, w.s.span, "an ID must stay within what the server keeps")
	w.lowest = f.Low
	o := w.openers.Lookup(w.s.opener)
	r := wire.Frame{Kind: wire.KindReply, ID: f.ID}
	switch v := o.Decide(f.ID, f.Low); v {
	case Run:
		w.runs[string(f.Body)]++
		o.Save(f.ID, 0, f.Body)
		w.backup.Lookup(o.ID).Save(f.ID, 0, f.Body)
		r.Body = f.Body
	case Saved:
		_, r.Body, _ = o.Saved(f.ID)
	default:
		r.Low = code64(codeOf(ErrTooOld))
	}
	return r, true
}

func (w *world) welcome(body []byte) wire.Frame {
	var h wire.Hello
	require.NoError(w.t, wire.Unmarshal(body, &h))
	who := Identity{Cookie: h.Cookie, Depth: h.Depth, Window: h.Window}
	o := open(w.t, &w.openers, who)
	open(w.t, &w.backup, who)
	if h.Opener != 0 {
		require.Equal(w.t, o.ID, h.Opener, "the open must be resumed, not made anew")
	}
	b, err := wire.Marshal(wire.Welcome{Instance: w.instance, Epoch: w.epoch, Opener: o.ID, Cookie: h.Cookie, Depth: h.Depth})
	require.NoError(w.t, err)
	return wire.Frame{Kind: wire.KindWelcome, Body: b}
}

// takeover: the backup serves with what was committed. Packets that were not
// read wait for it in the socket; its notice goes behind what the old primary said.
func (w *world) takeover(planned bool) {
	w.epoch++
	w.openers, w.backup = w.backup, Openers{}
	for o := range w.openers.All() {
		_, err := w.backup.Restore(o.AppendTo(nil))
		require.NoError(w.t, err)
	}
	f := wire.Frame{Kind: wire.KindNotice}
	if planned {
		f.Flags = wire.FlagPlanned
	}
	if w.linked {
		w.back = append(w.back, pack(w.t, w.epoch, f))
	}
}

// hear lets one packet of the server arrive.
func (w *world) hear() {
	if len(w.back) == 0 {
		return
	}
	p, err := wire.Parse(w.back[0])
	require.NoError(w.t, err)
	w.back = w.back[1:]
	require.NoError(w.t, w.s.packet(p))
	if w.s.greet {
		w.s.greet = false
		w.hello()
	}
}

// look checks the calls that have ended.
func (w *world) look() {
	for body, k := range w.calls {
		if k.state != callDone {
			continue
		}
		delete(w.calls, body)
		if k.err == nil {
			require.Equal(w.t, body, string(k.reply), "a call got another call's reply")
			require.Equal(w.t, 1, w.runs[body], "exactly once is broken for a call that got its reply")
			continue
		}
		require.ErrorIs(w.t, k.err, ErrPathDown)
		if !MayBeApplied(k.err) {
			require.Zero(w.t, w.runs[body], "a call that says it was not applied was")
		}
	}
	for body, n := range w.runs {
		require.Equal(w.t, 1, n, "exactly once is broken: %s was run %d times", body, n)
	}
	w.s.news = nil
}

// settle lets everything arrive.
func (w *world) settle() {
	w.link()
	for range 10 * (w.names + 10) {
		w.send()
		w.serve(false)
		w.hear()
		w.look()
	}
}
