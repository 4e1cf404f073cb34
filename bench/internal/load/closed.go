package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

// Closed has every client make one request after the other for so long (a closed loop): what the server can do at most. Its waits are those
// of clients that wait for each other, and say nothing of an outage.
func Closed(clients []Client, d time.Duration) (rate float64, waits *figures.Times, err error) {
	var stop atomic.Bool
	defer time.AfterFunc(d, func() { stop.Store(true) }).Stop()
	var mu sync.Mutex
	var wg sync.WaitGroup
	waits = figures.NewTimes()
	began := time.Now()
	for _, c := range clients {
		wg.Go(func() {
			var mine []time.Duration
			var failed error
			for n := 0; !stop.Load() && failed == nil; n++ {
				sent := time.Now()
				if _, failed = c.Do(n); failed == nil {
					mine = append(mine, time.Since(sent))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range mine {
				waits.Add(d)
			}
			if failed != nil {
				err = failed
			}
		})
	}
	wg.Wait()
	return float64(waits.N()) / time.Since(began).Seconds(), waits, err
}
