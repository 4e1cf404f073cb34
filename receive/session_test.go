package receive

import (
	"fmt"
	"testing"
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

func TestEveryCallEndsOnceWhateverFails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.SampledFrom([]int{0, 1, 2, 5, 64}).Draw(t, "depth")
		w := newWorld(t, depth, rapid.IntRange(1, 8).Draw(t, "window"))
		w.link()
		w.serve(false)
		w.hear()
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "event") {
			case 0, 1, 2:
				w.start()
			case 3, 4:
				w.send()
			case 5, 6:
				w.serve(false)
			case 7:
				w.serve(true)
				w.takeover(false)
			case 8:
				w.takeover(false)
			case 9:
				if len(w.there) == 0 { // a primary that hands over has answered what it has read
					w.takeover(true)
				}
			case 10:
				w.cut()
			case 11:
				w.link()
			default:
				w.hear()
			}
			w.look()
		}
		started := w.names
		w.settle()
		require.Empty(t, w.calls, "of %d calls some never ended", started)
		require.Zero(t, w.s.busy())
		w.start()
		w.settle()
		require.Empty(t, w.calls, "after all that a call must still work")
	})
}

func TestAGivenUpCallIsNeverSentAfterwards(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 4, rapid.IntRange(1, 4).Draw(t, "window"))
		w.settle()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "event") {
			case 0, 1:
				w.start()
			case 2:
				w.send()
			default:
				for body, k := range w.calls {
					unsent := !k.sent
					w.s.drop(k)
					delete(w.calls, body)
					if unsent {
						w.settle()
						require.Zero(t, w.runs[body], "%s was given up before it was sent, and run", body)
					}
					break
				}
			}
			w.look()
		}
		w.settle()
		require.Empty(t, w.calls)
		require.Zero(t, w.s.busy(), "a call that was given up must not hold its place in the window")
	})
}

func TestOnlyOnesTimeWithoutAServerCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 1, 1)
		w.settle()
		w.start()
		w.start() // waits for room
		for range 3 {
			w.cut()
			w.s.expire(w.clock, time.Second, nil)
			w.clock = w.clock.Add(time.Second - 1)
			w.s.expire(w.clock, time.Second, nil)
			require.Len(t, w.calls, 2)
			w.link()
			w.serve(false)
			w.hear()
			w.clock = w.clock.Add(time.Hour)
		}
		w.look()
		require.Len(t, w.calls, 2, "a slow server is not a lost one")
		w.cut()
		w.s.expire(w.clock, time.Second, nil)
		w.s.expire(w.clock.Add(time.Second), time.Second, nil)
		w.look()
		require.Empty(t, w.calls)
		require.Zero(t, w.s.busy())
	})
}

func TestANewInstanceEndsTheSession(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 2, 2)
		w.settle()
		for range 3 {
			w.start()
		}
		w.send()
		w.cut()
		w.instance = "two"
		w.link()
		w.serve(false)
		w.hear()
		maybe := 0
		for _, k := range w.calls {
			require.ErrorIs(t, k.err, ErrWrongID)
			if MayBeApplied(k.err) {
				maybe++
			}
		}
		require.Equal(t, 2, maybe, "two were sent, the third had to wait")
		k := &call{method: []byte("m")}
		err := w.s.start(k)
		require.ErrorIs(t, err, ErrWrongID)
		require.False(t, MayBeApplied(err))
	})
}

func TestASpeakerOfALaterEpochIsANewPrimaryEvenWithoutNotice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 2, 2)
		w.settle()
		w.start()
		w.send()
		w.there = nil // lost with the old primary
		w.epoch = 7
		w.back = append(w.back, pack(t, 7, wire.Frame{Kind: wire.KindPing}))
		w.settle()
		require.Empty(t, w.calls)
		require.Equal(t, uint32(7), w.s.epoch)
	})
}

// FuzzSessionPacket: no server, however hostile, makes a session panic or
// complete a call that does not exist.
func FuzzSessionPacket(f *testing.F) {
	welcome, err := wire.Marshal(wire.Welcome{Instance: "one", Epoch: 1, Opener: 1, Cookie: 2, Depth: 4})
	require.NoError(f, err)
	seed := func(frames ...wire.Frame) {
		pkt := wire.Begin(nil)
		for i := range frames {
			pkt, err = wire.Append(pkt, &frames[i])
			require.NoError(f, err)
		}
		f.Add(pkt[len(wire.Begin(nil)):], uint32(3))
	}
	seed(wire.Frame{Kind: wire.KindWelcome, Body: welcome}, wire.Frame{Kind: wire.KindReply, ID: 1})
	seed(wire.Frame{Kind: wire.KindNotice}, wire.Frame{Kind: wire.KindReply, ID: 2, Low: code64(200)})
	seed(wire.Frame{Kind: wire.KindRefuse, Low: 60}, wire.Frame{Kind: wire.KindBye})
	f.Fuzz(func(t *testing.T, frames []byte, epoch uint32) {
		s := newSession("bank", 4, 4)
		s.open(&call{})
		calls := make([]call, 6)
		for i := range calls {
			calls[i].method = []byte("m")
			require.NoError(t, s.start(&calls[i]))
		}
		pkt := append(wire.Begin(nil), frames...)
		wire.Finish(pkt, epoch)
		p, err := wire.Parse(pkt)
		if err != nil {
			return
		}
		_ = s.packet(p)
		_ = s.packet(p)
		_ = s.fill(nil)
		require.LessOrEqual(t, s.busy(), s.span)
		s.lost()
		s.finish(ErrNotOpen, "", nil)
		for i := range calls {
			require.Equal(t, callDone, calls[i].state, "a call was left without an end")
		}
	})
}
