package core

import (
	"fmt"
	"testing"
	"time"
)

// crowd is a machine with n entities that run, beat once in a second, and restart.
func crowd(b *testing.B, n int) (*world, []string) {
	w := newWorld(b)
	var names []string
	for i := range n {
		e := entity(fmt.Sprint("e", i), lives(), on(OnHeartbeatMissedHigh, RearmCondition, logs("high")))
		e.Settings = &Settings{Heartbeat: Heartbeat{Period: time.Second, Low: 2, High: 4}, Restart: Budget{Limit: -1}}
		w.run(e)
		names = append(names, e.Name)
	}
	return w, names
}

// A second of 10,000 entities: all of them beat, and the deadlines that come up are looked at.
func BenchmarkBeats(b *testing.B) {
	w, names := crowd(b, 10_000)
	b.ResetTimer()
	for range b.N {
		w.now += time.Second
		w.step(Event{Beats: &Beats{Entities: names}})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(names)), "ns/beat")
}

// A death that is restarted: three events.
func BenchmarkDeathAndRestart(b *testing.B) {
	w, names := crowd(b, 10_000)
	b.ResetTimer()
	for i := range b.N {
		w.now += time.Minute / 1000
		name := names[i%len(names)]
		w.step(Event{Beats: &Beats{Entities: names[:1]}})
		w.dies(name, Exit{Known: true})
		if p := w.m.look(name).Process; p.Phase == Starting {
			w.born(name)
		}
	}
}
