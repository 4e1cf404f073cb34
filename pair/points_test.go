package pair_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// A primary dies in every gap between two steps of a request's life, in every mode, at several passages, under clients
// with several requests under way.
func TestAKillAtAnyPointLosesNothingAndDoesNothingTwice(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		for _, point := range pair.Points() {
			t.Run(point.String(), func(t *testing.T) {
				t.Parallel()
				killAtPoint(t, mode, point, 1, 4, 29)
			})
		}
	})
}

func killAtPoint(t *testing.T, mode pair.Mode, point pair.Point, hits ...int) {
	file := filepath.Join(t.TempDir(), "hits")
	p := start(t, "ledger", set(envMode, mode), set(envPoint, int(point)), set(envHits, file), set(envSnapshot, 50))
	l := newLoad(t, p, 3).run(4)
	again := newRepeater(t, p)
	for _, n := range hits {
		doomed := p.Primary()
		require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(n)), 0o600))
		l.await(20)
		p.Signal(doomed, unix.SIGUSR1)
		again.untilTakeover()
		p.WaitDead(doomed)
		p.WaitProtected()
	}
	require.EqualValues(t, len(hits), p.Status().Takeovers)
	l.finish()
	l.unbroken()
	again.finish()
}

// repeater makes entries and, after a takeover, asks for all of them again under their sync IDs.
type repeater struct {
	*raw
	low, next uint64
	first     map[uint64]wire.Frame // the first reply to every request
}

const (
	repeaterID = 99
	repeated   = 32 // requests asked for again; the sync depth is twice that
	bundle     = 4  // requests in a packet
)

func newRepeater(t *testing.T, p *pairtest.Pair) *repeater {
	t.Helper()
	r := openRaw(t, p, wire.Hello{Name: p.Name(), Depth: 2 * repeated, Window: 2 * repeated})
	return &repeater{raw: r, low: 1, next: 1, first: map[uint64]wire.Frame{}}
}

// request makes the same entry of the same ID. Every fifth one is refused, and so changes nothing.
func (r *repeater) request(id uint64) wire.Frame {
	return request(id, r.low, "enter", Entry{Client: repeaterID, N: int(id - id/5 - 1), Refuse: id%5 == 0})
}

// untilTakeover makes entries until a new primary speaks, and then repeats the last ones, answered or not.
func (r *repeater) untilTakeover() {
	r.t.Helper()
	for open := 0; ; {
		var frames []wire.Frame
		for open == 0 && len(frames) < bundle {
			frames = append(frames, r.request(r.next))
			r.next++
		}
		if len(frames) > 0 {
			r.low = max(r.low, uint64(max(int64(r.next)-repeated, 1)))
			r.send(frames...)
			open = bundle
		}
		switch f := r.next1(); f.Kind {
		case wire.KindReply:
			open--
		case wire.KindNotice:
			require.Zero(r.t, f.Flags&wire.FlagPlanned, "a death is not planned")
			r.repeat()
			return
		}
	}
}

// next1 takes one frame. A second reply to a request must be the first one over again.
func (r *repeater) next1() wire.Frame {
	r.t.Helper()
	f := r.raw.next()
	if f.Kind == wire.KindReply {
		before, ok := r.first[f.ID]
		if !ok {
			r.first[f.ID] = f
		} else {
			require.Equal(r.t, before, f, "broken promise: the reply to a repeated request is the same, to the byte; request %d", f.ID)
		}
	}
	return f
}

func (r *repeater) repeat() {
	r.t.Helper()
	want := map[uint64]bool{}
	for id := r.low; id < r.next; id++ {
		r.send(r.request(id))
		want[id] = true
	}
	for len(want) > 0 {
		if f := r.next1(); f.Kind == wire.KindReply {
			delete(want, f.ID)
		}
	}
}

// finish compares what the ledger holds with the replies.
func (r *repeater) finish() {
	r.t.Helper()
	id, last := uint64(0), r.next-1
	for from := 0; ; from += atOnce {
		var made []Made
		r.ask("made", Question{repeaterID, from}, &made)
		for _, m := range made {
			if id++; id%5 == 0 {
				r.checkRefused(id)
				id++
			}
			r.compare(id, m)
		}
		if len(made) < atOnce {
			break
		}
	}
	if last%5 == 0 {
		r.checkRefused(last)
		id++
	}
	require.Equal(r.t, last, id, "broken promise: what was answered is in the state")
	var counts []int64
	r.ask("count", struct{}{}, &counts)
	require.Zero(r.t, counts[2], "broken promise: an error undoes every change of its call")
}

// ask makes one more request and reads its reply into v.
func (r *repeater) ask(method string, arg, v any) {
	r.t.Helper()
	id := r.next
	r.next++
	r.send(request(id, id, method, arg))
	for {
		if f := r.next1(); f.Kind == wire.KindReply && f.ID == id {
			require.Zero(r.t, f.Code(), "%s", f.Body)
			decode(r.t, f.Body, v)
			return
		}
	}
}

func (r *repeater) compare(id uint64, m Made) {
	r.t.Helper()
	require.EqualValues(r.t, 1, m.Times, "broken promise: every request is applied once; request %d", id)
	f, ok := r.first[id]
	require.True(r.t, ok, "request %d was never answered", id)
	require.Zero(r.t, f.Code(), "request %d: %s", id, f.Body)
	var told Receipt
	decode(r.t, f.Body, &told)
	require.Equal(r.t, m.Receipt, told, "request %d", id)
}

func (r *repeater) checkRefused(id uint64) {
	r.t.Helper()
	f := r.first[id]
	require.EqualValues(r.t, 300, f.Code(), "request %d was to be refused", id)
}

// Without a backup a death is the end of the instance; at the points of the welcome the backup has it all.
func TestAKillWhileARequesterIsWelcomedCostsItNothing(t *testing.T) {
	t.Parallel()
	for _, point := range []pair.Point{pair.PointAppended, pair.PointEffects, pair.PointReplied, pair.PointForgot} {
		t.Run(point.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, "ledger", set(envPoint, int(point)), set(envAtOnce, 1))
			c := p.Dial() // the first passage is that of the welcome
			r, err := receive.Call[Receipt](t.Context(), c, "enter", Entry{Client: 1})
			require.NoError(t, err)
			require.EqualValues(t, 1, r.Serial)
			p.WaitStatus("the takeover", func(s pairtest.Status) bool { return s.Takeovers == 1 })
		})
	}
}
