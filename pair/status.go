package pair

import (
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// RoleChange tells a subscriber what the member is now.
type RoleChange struct {
	Role      Role
	Epoch     uint32
	Protected bool // a synchronised backup exists
}

// statusBoard publishes what the pair is, to the registry and to subscribers, from a goroutine of its own: a file system
// that blocks must not block the pair. Only the latest state counts.
type statusBoard struct {
	m    *member
	mu   sync.Mutex
	next *registry.Page // to be published
	then []func()       // to be called when that has been done
	wake chan struct{}
	done chan struct{}

	subscribers []chan RoleChange
	last        RoleChange
	page        registry.Page // the last one published
}

func newStatusBoard(m *member) *statusBoard {
	b := &statusBoard{m: m, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go b.run()
	return b
}

func (b *statusBoard) run() {
	defer close(b.done)
	for range b.wake {
		b.mu.Lock()
		p, then := b.next, b.then
		b.next, b.then = nil, nil
		b.mu.Unlock()
		if p != nil {
			b.inherit(p)
			if err := b.m.dir.Publish(*p); err != nil {
				b.m.log.Error("cannot publish the status", "cause", err)
			}
		}
		for _, f := range then {
			f()
		}
	}
}

// after calls f when what is to be published now has been, or could not be.
func (b *statusBoard) after(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.then = append(b.then, f)
	b.nudge()
}

// inherit keeps what the page says of the last takeover when this member did not make it: it became primary by a switch.
func (b *statusBoard) inherit(p *registry.Page) {
	if p.LastTakeover != nil || p.Takeovers == 0 {
		return
	}
	if old, err := registry.Read(b.m.cfg.Dir, b.m.name); err == nil && old.Instance == p.Instance {
		p.LastTakeover = old.LastTakeover
	}
}

func (b *statusBoard) publish(p registry.Page) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.page = p
	b.next = &p
	b.nudge()
}

// count publishes the number of requests, if there were any since.
func (b *statusBoard) count(requests uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.page.Requests == requests || b.page.Instance == "" {
		return
	}
	b.page.Requests = requests
	p := b.page
	b.next = &p
	b.nudge()
}

func (b *statusBoard) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// close publishes what is left to be, and ends the goroutine. stopped: the pair ends with this member.
func (b *statusBoard) close(stopped bool) {
	if stopped {
		b.mu.Lock()
		p := b.page
		p.Primary, p.Backup, p.Stopped = nil, nil, true
		b.next = &p
		b.nudge()
		b.mu.Unlock()
	}
	close(b.wake)
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.subscribers {
		close(c)
	}
	b.subscribers = nil
}

// subscribe returns a channel that always holds the latest change that was not received yet, the present state to begin
// with. It is never blocked on.
func (b *statusBoard) subscribe() (changes <-chan RoleChange, cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan RoleChange, 1)
	c <- b.last
	b.subscribers = append(b.subscribers, c)
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if i := slices.Index(b.subscribers, c); i >= 0 {
			b.subscribers = slices.Delete(b.subscribers, i, i+1)
			close(c)
		}
	}
}

func (b *statusBoard) changed(now RoleChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now == b.last {
		return
	}
	b.last = now
	for _, c := range b.subscribers {
		select { // replace what was not received
		case <-c:
		default:
		}
		c <- now
	}
}

// publish tells everybody what this member knows. The page is the primary's alone to write.
func (m *member) publish() {
	r := &m.roles
	m.status.changed(RoleChange{Role: r.role, Epoch: r.epoch, Protected: r.role == Primary && r.partner == synced || r.role == Backup})
	if r.role != Primary || !m.effects.open() {
		return // the page has one writer, and the old primary is not known to be silent yet
	}
	if r.partner == synced {
		m.unprotected = time.Time{}
	} else if m.unprotected.IsZero() {
		m.unprotected = time.Now()
	}
	p := registry.Page{Program: programPath(), Upgrade: m.upgrades.path(), Mode: m.cfg.Mode.String(), Instance: m.instanceString(), Epoch: r.epoch,
		Primary: &registry.Member{PID: m.self.PID, Start: m.self.Start, Since: m.since, Synchronised: true, Program: programPath()},
		Notice:  m.notices(), Takeovers: m.counts.takeovers, Switches: m.counts.switches, Requests: m.requests}
	_, p.Listen, _ = m.app.listeners()
	if l := m.link; l != nil && (r.partner == filling || r.partner == synced) {
		p.Backup = &registry.Member{PID: l.peerID.PID, Start: l.peerID.Start, Since: l.since, Synchronised: r.partner == synced, Spawned: l.spawned,
			Program: l.other.path, Differs: !m.alike()}
	}
	if !m.unprotected.IsZero() {
		at := m.unprotected
		p.UnprotectedSince = &at
	}
	if t := m.takeover; t != nil && !t.planned {
		p.LastTakeover = t.page(r.epoch)
	}
	m.status.publish(p)
}

func (m *member) notices() []string {
	if m.link == nil {
		return []string{}
	}
	return m.link.notices()
}

func (t *takeover) page(epoch uint32) *registry.Takeover {
	return &registry.Takeover{Epoch: epoch, Cause: string(t.cause), Evidence: t.evidence, At: t.wall, FencedUS: t.fenced.Microseconds(),
		SealedUS: t.sealed.Microseconds(), DrainedUS: t.drained.Microseconds(), ServingUS: t.serving.Microseconds(),
		FirstReplyUS: t.firstReply.Microseconds(), RestoredUS: t.restored.Microseconds(), Records: t.records}
}

// programPath is the path of the file that this process runs, as the status shows it.
func programPath() string {
	p, err := os.Executable()
	if err != nil {
		p = os.Args[0]
	}
	return shown(p)
}

// shownMost bounds the paths on the page, which has room for several of this length, and not for one of the longest.
const shownMost = 512

// shown returns the end of a path, which tells more than its beginning.
func shown(path string) string {
	if len(path) <= shownMost {
		return path
	}
	return "…" + strings.ToValidUTF8(path[len(path)-shownMost:], "")
}
