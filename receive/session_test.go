package receive

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

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
