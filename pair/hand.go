package pair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/1fb4ed1c/tandem/control"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// Member is one process of a hand-written pair: a program that reads its inbox and decides itself what it checkpoints, as on
// NonStop's active backup. As primary it reads requests; as backup it reads, from the same inbox, what the primary has
// checkpointed, and the news that it is primary now (receive.ProcessDeletion with Who receive.Primary, or
// receive.SwitchedOver).
//
// The pair lives in the inbox: everything that a member does for the other happens inside Read and ReadUpdate. A program
// that stays away from its inbox for longer than Config.HangAfter counts as hung.
type Member struct {
	requestersOnly
	m  *member
	in *receive.Inbox

	pending map[blame]*receive.Request // read by this primary, or waiting to be
	system  bool                       // the program wants to know of opens and closes
	filling bool                       // the backup waits for the program to send it the whole state
	sent    bool                       // it has
}

// ErrLeft is returned by the inbox of a member that has left the pair as planned.
var ErrLeft = errors.New("this member has left the pair")

// Join makes this process a member of the pair called name, with the default configuration.
func Join(ctx context.Context, name string) (*Member, error) { return Config{}.Join(ctx, name) }

// Join makes this process a member of the pair called name. Config.Mode has no meaning for it: the program decides
// what is computed where.
func (c Config) Join(ctx context.Context, name string) (*Member, error) {
	return c.JoinInbox(ctx, name, receive.InboxConfig{})
}

// JoinInbox is Join with an inbox of the given depth and order. Its Pump and Reply must be nil: they are the member's own.
func (c Config) JoinInbox(ctx context.Context, name string, inbox receive.InboxConfig) (*Member, error) {
	h := &Member{pending: map[blame]*receive.Request{}, system: inbox.System}
	inbox.Pump, inbox.Reply = h.pump, h.reply
	h.in = receive.NewInbox(inbox)
	_, err := enter(ctx, name, c, func(m *member) application {
		h.m = m
		return (*handApp)(h)
	})
	if errors.Is(err, errAbandoned) {
		return nil, fmt.Errorf("%w: %w", ErrLeft, err)
	}
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Inbox returns the queue of everything that arrives for this process.
func (h *Member) Inbox() *receive.Inbox { return h.in }

// Role returns what this member is at present (PROCESS_GETPAIRINFO_).
func (h *Member) Role() Role {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return h.m.roles.role
}

// Instance returns the name of the unbroken chain of primaries and backups that this member belongs to.
func (h *Member) Instance() string { return h.m.instanceString() }

// Changes returns a channel that tells what this member is: the present state at once, then every change. Only the latest
// change is kept for a slow receiver.
func (h *Member) Changes() (changes <-chan RoleChange, cancel func()) { return h.m.status.subscribe() }

// Checkpoint hands the backup one continuation point: all of msgs, or none. When it returns nil they are safe, whether or
// not the backup has read them, and outlive this process. Without a backup it does nothing and returns nil.
// ErrNotPrimary: somebody else is primary by now; stop what you are doing, and do not reply.
func (h *Member) Checkpoint(msgs ...control.Message) error {
	return h.update(nil, nil, nil, msgs)
}

// CheckpointReply is Checkpoint for the request req together with its reply: from now on a repeated req is answered with this
// reply and not run again. The reply itself is still to be sent, with Inbox.Reply and the same data and error. (Without
// it Inbox.Reply saves the reply by itself, but apart from the state: killed in between, the request is run again.)
func (h *Member) CheckpointReply(req *receive.Request, data []byte, err error, msgs ...control.Message) error {
	return h.update(req, data, err, msgs)
}

// Synchronised tells that everything a new backup must know has been checkpointed since the message receive.Created.
// From then on it can take over.
func (h *Member) Synchronised() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.roles.role != Primary {
		return fmt.Errorf("cannot complete the backup: %w", ErrNotPrimary)
	}
	h.sent = true
	h.m.fillSome()
	h.m.flush()
	h.m.mail.post(func() {}) // a reader that is waiting goes on with the filling
	return nil
}

// Stop ends the whole pair and returns when this member has left it. Like Close it is for the goroutine that reads the
// inbox, when it does not read.
func (h *Member) Stop() error {
	h.m.mu.Lock()
	h.m.now = h.m.clock.now()
	h.m.step(event{kind: evStop})
	h.m.mu.Unlock()
	return h.Close()
}

// Close lets this member leave when it has been told to stop, and otherwise lets it go like a process that dies: the backup
// takes over. It returns why the member left.
func (h *Member) Close() error {
	h.m.mu.Lock()
	for !h.m.left && h.m.roles.stopping {
		h.m.round()
	}
	h.m.mu.Unlock()
	h.m.close()
	return h.m.gone
}

// pump is one round of the pair.
func (h *Member) pump(ctx context.Context) error {
	m := h.m
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { m.mail.post(func() {}) })()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.left && h.in.Len() == 0 && ctx.Err() == nil {
		m.round()
	}
	if m.roles.role == Primary {
		m.flush() // the program may take its time
	}
	if m.left && h.in.Len() == 0 {
		if m.gone != nil {
			return m.gone
		}
		return ErrLeft
	}
	return nil
}

// update appends one record of messages, and of the reply to req if there is one.
func (h *Member) update(req *receive.Request, data []byte, rerr error, msgs []control.Message) error {
	m := h.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roles.role != Primary || m.left {
		return fmt.Errorf("cannot checkpoint: %w", ErrNotPrimary)
	}
	b, err := control.Append(nil, msgs...)
	if err != nil {
		return err
	}
	rec := commitRecord{changes: b}
	if req != nil {
		if rec.code, rec.reply, err = h.outcome(data, rerr); err != nil {
			return err
		}
		rec.opener, rec.id, rec.low = req.Opener, req.SyncID, req.Low
	}
	if most := m.cfg.LogSize/4 - recordSlack; rec.size() > most {
		return fmt.Errorf("cannot checkpoint %d bytes, expected at most %d (Config.LogSize): %w", rec.size(), most, receive.ErrTooLarge)
	}
	if m.writing() {
		m.point(PointHandled)
		if b := m.reserve(kindUpdate, rec.size()); b != nil {
			rec.put(b)
		}
		if !m.commit() {
			return fmt.Errorf("cannot checkpoint: %w", ErrNotPrimary)
		}
		m.point(PointAppended)
	}
	if req != nil {
		if o := m.openers.Lookup(req.Opener); o != nil {
			o.Save(req.SyncID, rec.code, rec.reply)
		}
	}
	return nil
}

// outcome is how a reply travels.
func (h *Member) outcome(data []byte, err error) (code int64, body []byte, _ error) {
	if err != nil {
		c, text := receive.Describe(err)
		return int64(c), []byte(text), nil
	}
	if len(data) > wire.MaxBody {
		return 0, nil, fmt.Errorf("cannot reply with %d bytes, expected at most %d: %w", len(data), wire.MaxBody, receive.ErrTooLarge)
	}
	return 0, data, nil
}

// reply delivers what the program answers.
func (h *Member) reply(r receive.Reply) error {
	req, ok := r.To.(*receive.Request)
	if !ok {
		return nil // an Open, which has been granted
	}
	m := h.m
	m.mu.Lock()
	o := m.openers.Lookup(req.Opener)
	saved := false
	if o != nil {
		_, _, saved = o.Saved(req.SyncID)
	}
	m.mu.Unlock()
	if !saved {
		if err := h.update(req, r.Data, r.Err, nil); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(h.pending, blame{req.Opener, req.SyncID})
	if m.roles.role != Primary || m.left {
		return fmt.Errorf("cannot reply: %w", ErrNotPrimary)
	}
	code, body, err := h.outcome(r.Data, r.Err)
	if err != nil {
		return err
	}
	m.requests++
	if !r.Cancelled {
		m.reply(m.seats.of[req.Opener], req.SyncID, code, body)
	}
	m.flush()
	return nil
}

// handApp is the application side of a Member.
type handApp Member

func (h *handApp) request(c *conn, f *wire.Frame) {
	o := c.opener
	key := blame{o.ID, f.ID}
	r := &receive.Request{Opener: o.ID, SyncID: f.ID, Low: f.Low, Method: string(f.Method), Body: append([]byte(nil), f.Body...),
		MaxReply: wire.MaxBody, Priority: f.Priority, Sender: o.Identity}
	o.Begin(f.ID)
	h.pending[key] = r
	h.in.Push(r)
}

func (h *handApp) cancel(o *receive.Opener, id uint64) {
	if h.in.Cancel(o.ID, id) {
		o.Drop(id)
		delete(h.pending, blame{o.ID, id})
	}
}

func (h *handApp) apply(kind recordKind, b []byte) error {
	if kind != kindUpdate {
		return fmt.Errorf("record of kind %d: %w", kind, errMalformedRecord)
	}
	var r commitRecord
	if err := r.parse(b); err != nil {
		return err
	}
	msgs, err := control.Parse(r.changes)
	if err != nil {
		return err
	}
	if r.opener != 0 {
		h.m.save(r.opener, r.id, r.low, r.code, r.reply)
	}
	for _, msg := range msgs {
		h.in.Push(receive.FromPrimary{Value: msg})
	}
	return nil
}

// promote tells the program that it is primary. What it does then is outside our sight, so the old primary must be
// proven silent first.
func (h *handApp) promote(planned bool) (complete bool, err error) {
	m := h.m
	if m.takeover == nil {
		return true, nil
	}
	if planned {
		h.in.Push(receive.SwitchedOver{Role: receive.Primary, Epoch: m.roles.epoch})
		return false, nil
	}
	who := receive.ProcessDeletion{Who: receive.Primary, Name: m.name, Cause: string(m.takeover.cause)}
	if m.dying != nil {
		who.PID = m.dying.ID().PID
		for m.dying.Fence(fenceWithin) != nil && !m.closing.Load() {
			m.log.Error("THE OLD PRIMARY CANNOT BE FENCED: this member does not serve", "pid", who.PID)
		}
	}
	h.in.Push(who)
	return false, nil
}

// demote takes back the requests that were not answered: their requesters repeat them to the new primary.
func (h *handApp) demote() {
	for key := range h.pending {
		h.in.Cancel(key.opener, key.id)
		if o := h.m.openers.Lookup(key.opener); o != nil {
			o.Drop(key.id)
		}
	}
	clear(h.pending)
	h.in.Push(receive.SwitchedOver{Role: receive.Backup, Epoch: h.m.roles.epoch + 1})
}

func (h *handApp) startFill() error {
	h.filling, h.sent = true, false
	h.in.Push(receive.Created{PID: h.m.link.peerID.PID})
	return nil
}

// fill waits for the program.
func (h *handApp) fill() (bool, error) {
	h.m.fill.busy = false
	return h.sent, nil
}

func (h *handApp) stopFill()                             { h.filling = false }
func (h *handApp) filled(bool)                           { h.filling = false }
func (h *handApp) reset()                                {}
func (h *handApp) settle()                               {}
func (h *handApp) round(now time.Duration) time.Duration { return 0 }

// notify passes a system message on. An open has been granted already, so an inbox that does not ask for opens is not asked.
func (h *handApp) notify(s receive.System) {
	switch s.(type) {
	case receive.Open, receive.Close:
		if !h.system {
			return
		}
	}
	h.in.Push(s)
}

var _ application = (*handApp)(nil)
