package hands

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// samples reads what processes use, each as often as was asked for.
type samples struct {
	h      *Hands
	rounds *rounds

	mu  sync.Mutex
	all map[string]*sampled
}

// sampled is one of them. Only the goroutine of the rounds looks at what changes.
type sampled struct {
	entity string
	id     proc.ID
	every  time.Duration
	due    time.Duration
	at     time.Duration // of the look before; 0: there was none
	ticks  uint64        // of processor time, then
}

// ticksPerSecond is USER_HZ, which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

func newSamples(h *Hands) *samples {
	s := &samples{h: h, all: map[string]*sampled{}}
	s.rounds = newRounds(h, s.round)
	return s
}

// set has a process sampled, in place of the one before. Every 0 ends it.
func (s *samples) set(e core.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Every <= 0 {
		delete(s.all, e.Entity)
		return
	}
	s.all[e.Entity] = &sampled{entity: e.Entity, id: proc.ID{PID: e.PID, Start: e.Start}, every: max(e.Every, core.MinPeriod)}
	s.rounds.kick()
}

func (s *samples) round(now time.Duration) (next time.Duration) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.all))
	s.mu.Unlock()
	next = never
	for _, x := range all {
		if x.due <= now {
			if got, ok := x.look(); ok {
				s.h.event(core.Event{Sampled: &got})
			}
			x.due = monotonic() + x.every // not now: two looks shortly after each other tell nothing
		}
		next = min(next, x.due)
	}
	return next
}

// look reads what a process uses. What has ended uses nothing, and is not told of.
func (x *sampled) look() (core.Sampled, bool) {
	stat, ok := readStat(x.id.PID)
	now := monotonic()
	if !ok || stat.dead() || x.id.Start != 0 && stat.start != x.id.Start {
		return core.Sampled{}, false
	}
	got := core.Sampled{Entity: x.entity, PID: x.id.PID, Start: stat.start, RSS: stat.rss * int64(os.Getpagesize()), FDs: openFiles(x.id.PID)}
	if x.at != 0 && now > x.at {
		got.CPU = float64(stat.ticks-x.ticks) / ticksPerSecond / (now - x.at).Seconds()
	}
	x.at, x.ticks = now, stat.ticks
	return got, true
}

// openFiles counts the open descriptors of a process: 0 if that is none of our business.
func openFiles(pid int) int {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 { // since Linux 6.2
		return int(info.Size())
	}
	entries, _ := os.ReadDir(dir)
	return len(entries)
}
