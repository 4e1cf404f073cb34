package daemon

import (
	"os"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// selfWatch tells the machine who its guardian is.
type selfWatch struct {
	quit, ended chan struct{}
}

// selfEvery is how often the page is read while the pair has no guardian on it that should be there.
const selfEvery = 20 * time.Millisecond

func watchSelf(h *half) *selfWatch {
	w := &selfWatch{quit: make(chan struct{}), ended: make(chan struct{})}
	changes, cancel := h.svc.Changes()
	go func() {
		defer close(w.ended)
		defer cancel()
		guardian := 0
		var look <-chan time.Time
		for {
			protected := guardian != 0
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
	}()
	return w
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
	<-w.ended
}
