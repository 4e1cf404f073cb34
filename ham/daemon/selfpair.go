package daemon

import (
	"os"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// selfWatch looks at the page of HAM's own pair. It tells the machine who its guardian is, and has the pairs taken in that ran
// before this half was on the page: those that come later see it there, and say that they are there.
type selfWatch struct {
	quit    chan struct{}
	running sync.WaitGroup
}

// selfEvery is how often the page is read while somebody is not on it who should be.
const selfEvery = 20 * time.Millisecond

func watchSelf(h *half) *selfWatch {
	w := &selfWatch{quit: make(chan struct{})}
	changes, cancel := h.svc.Changes()
	w.running.Go(func() {
		for !onPage(h.root) {
			select {
			case <-w.quit:
				return
			case <-time.After(selfEvery):
			}
		}
		h.adoptRunning()
	})
	w.running.Go(func() {
		defer cancel()
		guardian := 0
		var look <-chan time.Time
		for {
			var protected bool
			select {
			case <-w.quit:
				return
			case now, ok := <-changes:
				if !ok {
					return
				}
				protected = now.Protected
			case <-look:
				protected = true
			}
			was := guardian
			guardian, look = 0, nil
			if protected {
				if guardian = guardianOf(h.root); guardian == 0 {
					look = time.After(selfEvery) // it will be on the page soon
				}
			}
			if guardian != was {
				h.events.Post(core.Event{Self: &core.SelfFacts{PID: os.Getpid(), GuardianPID: guardian, GuardianDied: was != 0}})
			}
		}
	})
	return w
}

// onPage reports whether the page says that this process is HAM.
func onPage(root string) bool {
	page, err := registry.Read(root, talk.Pair)
	return err == nil && page.Primary != nil && page.Primary.PID == os.Getpid()
}

// guardianOf returns the pid of HAM's synchronised backup, or 0.
func guardianOf(root string) int {
	page, err := registry.Read(root, talk.Pair)
	if err != nil || page.Backup == nil || !page.Backup.Synchronised || page.Primary == nil || page.Primary.PID != os.Getpid() {
		return 0
	}
	return page.Backup.PID
}

func (w *selfWatch) close() {
	close(w.quit)
	w.running.Wait()
}
