package pair

import (
	"encoding/hex"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// application is what runs on a member: the high-level Service, or the inbox of a hand-written pair. The member calls it
// from its run loop only, with the member's lock held.
type application interface {
	// apply takes one record of the primary, in the order of the log.
	apply(kind recordKind, payload []byte) error
	// reset forgets everything: the records that follow bring the whole state.
	reset()
	// promote makes this member the primary. What the records left to do is done before it returns. complete: a primary
	// that hands over has answered every request that it had read, so requesters need not repeat any.
	promote(planned bool) (complete bool, err error)
	// demote makes a primary a backup that holds the same state: what it had planned to send is void.
	demote()
	// request handles or queues one request that is to be run. The body is only valid during the call.
	request(c *conn, f *wire.Frame)
	// cancel tells that the requester of a request does not wait for its reply any more.
	cancel(o *receive.Opener, id uint64)
	// startFill begins to bring a new backup to the present state, and fill writes the next part of it; both at
	// most what fits the log now. fill reports whether everything has been written.
	startFill() error
	fill() (done bool, err error)
	// stopFill ends a filling early.
	stopFill()
	// filled tells that the backup holds everything, or (false) that there is none any more.
	filled(bool)
	// round ends one round of the loop: timers that are due, planned work. It returns when it wants to be called again.
	round(now time.Duration) (next time.Duration)
	// settle ends a round, before the commit.
	settle()
	// notify tells the application of a system event.
	notify(receive.System)

	// listen opens the application's own listeners, as far as they are not open; listeners returns them for a new
	// backup, which adopts them.
	listen() error
	listeners() (addrs, at []string, fds []int)
	adopt(addrs, at []string, fds []int) error
	// effects does what has been planned outside the process, after the commit and before any reply. An error ends this
	// member, so that the other one tries.
	effects() error
	// ready handles an event of a connection of the application's own, send writes what waits for it after the commit, and forget
	// is called when everything has been sent.
	ready(c *conn, ev sock.Event)
	send(c *conn)
	forget()
	// busy tells whether there is something to do at once, though nothing happens.
	busy() bool
	// close lets go of the listeners.
	close()

	// schema describes the state that this program can hold, and readable reports why a program of another schema cannot
	// hold this one's.
	schema() []byte
	readable(schema []byte) error
}

// member is one process of a pair. Its run loop (loop in run.go) owns everything here; the lock is held by the loop
// except while it sleeps, so that hand-written programs may reply from other goroutines.
type member struct {
	name string
	cfg  Config
	log  *slog.Logger
	logs *asyncHandler
	app  application

	mu    sync.Mutex
	roles roles
	todo  []event // not stepped yet
	busy  bool    // step is running further up the stack

	dir      *registry.Dir
	lock     int // descriptor of the directory's lock, shared by both members
	listener int // listening socket, shared by both members
	self     proc.ID
	instance [16]byte

	poll    *sock.Poller
	events  []sock.Event
	in      []byte // receive buffer
	scratch []byte
	clock   clock
	now     time.Duration // of this round
	due     time.Duration // when the loop has something to do by itself; 0: nothing
	muted   time.Duration // until when the listener is left alone; 0: it is not
	checked time.Duration // when the slow duties were last done
	nap     time.Duration // of a backup

	link         *link         // with the other member; nil while there is none
	between      *link         // during a switch: the old log, until the new primary sends its own
	betweenSince time.Duration //
	dying        *proc.Process // the old primary, until it is fenced
	spare        *link         // a log made ahead of time, its beacon lit; it has no peer yet
	waiting      *conn         // joins as soon as a log is ready
	child        *proc.Child   // the process started last as backup

	seats   seats
	openers receive.Openers
	touched []*conn  // connections with replies to send
	unsaid  []*conn  // connections that have not heard of the new epoch yet
	planned bool     // the change of roles they have not heard of
	passed  passedFD // descriptors that came before the record that names them
	askers  []*conn  // wait for the end of a switch

	fill     fillState
	urgent   urgency
	whole    bool   // this member has held the whole state
	seq      uint64 // of the last record read
	suspect  blame  // the request that the primary before this one died of
	deaths   int    // how many primaries in a row did
	innocent bool   // it was a SIGKILL that interrupted it

	mail    mailbox
	helpers sync.WaitGroup
	closing atomic.Bool
	quit    chan struct{} // closed when closing
	signals chan os.Signal
	status  *statusBoard
	since   time.Time // in this role
	serving bool      // this member is, or was last, the primary

	unprotected time.Time // since when; zero: it is protected
	takeover    *takeover // the last one; nil before the first
	awaited     bool      // the first reply after it is still to come
	answers     bool      // a reply is among what the round has to send
	counts      counts
	requests    uint64 // handled in this instance
	effects     gate   // closed while a deposed primary may still act

	upgrades upgrades
	muffled  bool // what this process prints goes to the primary that tries it out: see speech.go

	gone error // why this member left
	left bool
}

// counts are carried along an instance.
type counts struct{ takeovers, switches uint64 }

// instanceString is how an instance is written everywhere.
func (m *member) instanceString() string { return hex.EncodeToString(m.instance[:]) }

// gate tells whether external effects may be done: not before the fence of the old primary is complete (design §7).
type gate struct {
	pending atomic.Int32
	opened  chan struct{} // told when it opens; holds one
}

func (g *gate) open() bool { return g.pending.Load() == 0 }

func (g *gate) lift() {
	g.pending.Add(-1)
	select {
	case g.opened <- struct{}{}:
	default:
	}
}

// mailbox carries work from other goroutines to the run loop.
type mailbox struct {
	mu   sync.Mutex
	work []func()
	wake func()
}

// post has f run by the loop, soon. It never blocks. The wake-up is done under the lock: what it rings may be gone once
// setWake has returned.
func (b *mailbox) post(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.work = append(b.work, f)
	if b.wake != nil {
		b.wake()
	}
}

// setWake says how the loop is woken from now on; nil: it looks by itself.
func (b *mailbox) setWake(wake func()) {
	b.mu.Lock()
	b.wake = wake
	b.mu.Unlock()
}

func (b *mailbox) take() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.work
	b.work = nil
	return w
}

// clock reads CLOCK_MONOTONIC, the same for both members, at the price of a vDSO call.
type clock struct {
	base time.Time
	at   time.Duration // at base
	wall int64         // Unix nanoseconds when it was 0
}

func newClock() clock {
	var ts unix.Timespec
	base := time.Now()
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	at := time.Duration(ts.Nano())
	return clock{base: base, at: at, wall: base.UnixNano() - int64(at)}
}

func (c *clock) now() time.Duration { return c.at + time.Since(c.base) }

// step feeds the role machine and performs what it wants done. Events that come up meanwhile are stepped afterwards, in
// their order.
func (m *member) step(ev event) {
	ev.at = m.now
	m.todo = append(m.todo, ev)
	if m.busy {
		return
	}
	m.busy = true
	defer func() { m.busy = false }()
	for len(m.todo) > 0 {
		ev := m.todo[0]
		m.todo = m.todo[1:]
		for _, e := range m.roles.step(ev) {
			if m.left { // an effect before this one failed: what else was to be done is another's by now
				break
			}
			m.perform(e, ev)
		}
	}
}

// perform does one effect of the role machine. ev is the event that led to it.
func (m *member) perform(e effect, ev event) {
	switch e.kind {
	case doSpawn:
		m.spawn()
	case doAdmit:
		m.takeSuccessor(e.chosen)
		m.admit(e.seat)
	case doRefuse:
		m.refuse(m.seats.at(e.seat), e.err)
	case doCloseLog:
		if ev.kind == evJoin {
			ev.cause = causeReplaced
		}
		m.closeLog(ev.cause)
	case doDropPartner:
		m.dropPartner(ev.cause)
	case doKill:
		m.killPrimary()
	case doFence:
		m.fencePrimary()
	case doFenceLater:
		m.fenceLater()
	case doSeal:
		m.seal()
	case doDrain:
		m.drainAll()
	case doServe:
		m.speakAloud()
		m.serve()
	case doAdoptPrimary:
		m.adopt()
	case doHandOver:
		m.handOver()
	case doRefuseSwitch:
		m.switched(e.err)
	case doStopPartner:
		m.stopPartner()
	case doAskStop:
		m.askStop()
	case doAckSynced:
		m.ackSynced()
	case doPublish:
		m.publish()
	case doLeave:
		m.leave(e.err)
	case doCall:
		m.callSuccessor()
	case doRefuseUpgrade:
		m.refuseUpgrade(e.err)
	case doDropSuccessor:
		m.dropSuccessor(ev)
	}
}
