package main

import (
	"time"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// phase is a step of a takeover and when it was over.
type phase struct {
	name string
	at   time.Duration
}

// phasesOf lists the steps in the usual order, counted from the notice of the death.
func phasesOf(t *registry.Takeover) []phase {
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	return []phase{{"sealed", us(t.SealedUS)}, {"drained", us(t.DrainedUS)}, {"serving", us(t.ServingUS)},
		{"first reply", us(t.FirstReplyUS)}, {"fenced", us(t.FencedUS)}, {"restored", us(t.RestoredUS)}}
}

// takeover is what the demo has seen of one kill. Phases are counted from the kill; its own clock and that of the new primary
// are the same one.
type takeover struct {
	pid    int             // that was killed
	rate   float64         // requests per second before
	phases []phase         // "noticed" first, "restored" last
	gaps   []time.Duration // of each client: the longest between two replies, up to the first of the new primary
	calm   []time.Duration // the same while nobody was killed, just before: what the machine does to a client anyway
	cause  string
}

// sinceKill turns the published record of a takeover into a time line that begins with the kill.
func sinceKill(killed time.Time, t *registry.Takeover) []phase {
	noticed := max(t.At.Sub(killed), 0) // At comes without a monotonic reading: these are calendar times
	out := []phase{{"noticed", noticed}}
	for _, p := range phasesOf(t) {
		if p.at > 0 {
			p.at += noticed
		}
		out = append(out, p)
	}
	return out
}

// unprotected is how long the next death would have ended the pair.
func (t *takeover) unprotected() time.Duration { return t.phases[len(t.phases)-1].at }
