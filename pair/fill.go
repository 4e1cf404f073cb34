package pair

import (
	"errors"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/receive"
)

// Filling a new backup. Everything it must know goes through the log, between the records of the requests that go on
// meanwhile: first the opens, with their connections and saved replies, then the state, part by part, then the record
// that says: this is all. A round writes one part at most, and only while half of the log is free, so that no request
// waits for the filling (design §7, 6).

// fillState is how far the backup has been filled.
type fillState struct {
	on     bool              // a backup is being filled
	busy   bool              // there is more to write and room for it
	opens  []*receive.Opener // still to be told of, in the order of their IDs
	slot   int               // of the first open: where to go on
	passed bool              // of the first open: its connection has been passed
	at     uint64            // the backup knows the opens up to this ID
}

// past tells whether the backup knows of this open: then it must hear what becomes of it.
func (f *fillState) past(opener uint64) bool { return len(f.opens) == 0 || opener <= f.at }

// later notes a new open that the backup is told of in its turn.
func (f *fillState) later(o *receive.Opener) {
	if len(f.opens) > 0 {
		f.opens = append(f.opens, o)
	}
}

// startFill begins to fill the backup that was just admitted.
func (m *member) startFill() {
	m.fill = fillState{on: true, busy: true}
	for o := range m.openers.All() {
		m.fill.opens = append(m.fill.opens, o)
	}
	if err := m.app.startFill(); err != nil {
		m.fillFailed(err)
	}
}

// stopFill ends a filling that has no backup any more.
func (m *member) stopFill() {
	if m.fill.on {
		m.app.stopFill()
	}
	m.fill = fillState{}
}

// fillSome writes the next part.
func (m *member) fillSome() {
	if !m.fill.on || !m.writing() {
		return
	}
	f := &m.fill
	f.busy = m.link.writer.Free() > m.cfg.LogSize/2
	if !f.busy {
		m.ring()
		return
	}
	if len(f.opens) > 0 {
		m.fillOpen()
		return
	}
	done, err := m.app.fill()
	switch {
	case err != nil:
		m.fillFailed(err)
	case done:
		m.fillDone()
	}
}

// fillOpen passes one open.
func (m *member) fillOpen() {
	f := &m.fill
	o := f.opens[0]
	if m.openers.Lookup(o.ID) != o { // closed meanwhile
		f.opens, f.slot, f.passed = f.opens[1:], 0, false
		return
	}
	f.at = o.ID
	if c := m.seats.of[o.ID]; c != nil && c.fd >= 0 && !f.passed {
		switch err := m.sendFD(c); {
		case errors.Is(err, sock.ErrAgain):
			f.busy = false
			return
		case err != nil:
			m.log.Warn("cannot pass a connection to the backup", "opener", o.ID, "cause", err)
		}
		f.passed = true
	}
	part, next := o.AppendPart(m.scratch[:0], f.slot, m.link.maxPart())
	m.scratch = part
	b := m.reserve(kindOpen, len(part))
	if b == nil {
		return
	}
	copy(b, part)
	if f.slot = next; next == 0 {
		f.opens, f.passed = f.opens[1:], false
	}
}

// fillDone writes the record that completes the state. From the commit on the backup can take over; it counts as
// synchronised when it has said so.
func (m *member) fillDone() {
	b := m.reserve(kindSynced, syncedSize)
	if b == nil {
		return
	}
	(&syncedRecord{m.openers.Last(), m.requests, m.counts}).put(b)
	m.fill = fillState{}
	m.app.filled(true)
	if m.commit() {
		m.ring()
	}
}

func (m *member) fillFailed(err error) {
	m.log.Error("cannot fill the backup", "cause", err)
	m.step(event{kind: evPartnerLost, cause: causeFailed})
}
