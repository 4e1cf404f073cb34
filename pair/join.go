package pair

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
	"github.com/1fb4ed1c/tandem/tracked"
)

// How a process becomes a member. The lock of the name's directory is held by a pair as long as one of its members
// lives. Whoever gets it founds a new instance; whoever does not asks the primary to become its backup.

// envJoin tells a process that a primary started it: name/instance of the pair.
const envJoin = "TANDEM_JOIN"

const (
	joinWithin  = 5 * time.Second       // for a process that runs to become a member
	spawnWithin = time.Minute           // for a process that was started as backup to come so far
	joinPause   = 10 * time.Millisecond // between two attempts
)

// ErrWrongInstance refuses a backup that was started for an instance of the pair that is gone.
var ErrWrongInstance = errors.New("the pair is another instance")

// enter makes this process a member of the pair called name.
func enter(ctx context.Context, name string, cfg Config, bind func(*member) application) (m *member, err error) {
	cfg, err = cfg.validate()
	if err != nil {
		return nil, fmt.Errorf("cannot join %q: %w", name, err)
	}
	m = &member{name: name, cfg: cfg, lock: -1, listener: -1, clock: newClock(), in: make([]byte, wire.MaxPacket+1), quit: make(chan struct{}),
		events: make([]sock.Event, 128), nap: napShort, effects: gate{opened: make(chan struct{}, 1)}}
	m.logs = newAsyncHandler(cfg.Logger.Handler())
	m.log = m.logs.logger().With("pair", name)
	defer func(m *member) {
		if err != nil {
			m.close()
			err = fmt.Errorf("cannot join %q: %w", name, err)
		}
	}(m)
	m.roles = roles{spawning: !cfg.NoSpawn, joinBy: spawnWithin}
	m.now = m.clock.now()
	if err := proc.NoCore(); err != nil {
		m.log.Warn("a core dump would delay the takeover", "cause", err)
	}
	if m.self, err = proc.Self(); err != nil {
		return nil, err
	}
	m.upgrades.build = buildOf(cfg.Mode)
	wanted, spawned, err := m.startedFor()
	if err != nil {
		return nil, err
	}
	if m.dir, err = registry.Open(cfg.Dir, name); err != nil {
		return nil, err
	}
	if m.poll, err = sock.NewPoller(); err != nil {
		return nil, err
	}
	m.status = newStatusBoard(m)
	m.catchSignals()
	m.app = bind(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m, m.found(ctx, wanted, spawned)
}

// found becomes the primary of a new instance, or joins the pair that there is.
func (m *member) found(ctx context.Context, wanted string, spawned bool) error {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	for {
		if !spawned {
			var err error
			if m.lock, err = m.dir.Lock(); err == nil {
				return m.beginInstance()
			}
			if !errors.Is(err, registry.ErrHeld) {
				return err
			}
		}
		err := m.ask(ctx, wanted, spawned)
		if err == nil {
			return nil
		}
		// Nobody listens, though the lock is held: a primary on its way up or down, or a takeover. Look again.
		if !errors.Is(err, sock.ErrNotListening) && !errors.Is(err, errRetry) || errors.Is(err, errAbandoned) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the name is locked, but no primary answered within %v: %w", joinWithin, err)
		case <-time.After(joinPause):
		}
	}
}

var (
	errRetry = errors.New("the primary went away")
	// errAbandoned ends a process that a primary started as its backup and then did not live, or not want, to take in.
	errAbandoned = errors.New("the primary that started this process is gone")
)

// startedFor tells whether a primary started this process as its backup.
func (m *member) startedFor() (instance string, spawned bool, err error) {
	v := os.Getenv(envJoin)
	if v == "" {
		return "", false, nil
	}
	name, instance, _ := strings.Cut(v, "/")
	_ = os.Unsetenv(envJoin) // it is not for what this process starts
	m.muffled = takeMuffled()
	if name != m.name {
		return "", false, fmt.Errorf("this process was started as the backup of %q: one process is a member of one pair", name)
	}
	return instance, true, nil
}

// beginInstance makes this process the first primary of a new instance.
func (m *member) beginInstance() error {
	if _, err := rand.Read(m.instance[:]); err != nil {
		return err
	}
	var err error
	if m.listener, err = sock.Listen(m.socketPath()); err != nil {
		return err
	}
	if err := m.poll.Add(m.listener, keyListener, sock.Readable); err != nil {
		return err
	}
	if err := m.app.listen(); err != nil {
		return err
	}
	m.log.Info("new instance", "instance", m.instanceString(), "pid", m.self.PID)
	m.whole = true
	m.step(event{kind: evFounded, epoch: 1})
	return nil
}

func (m *member) socketPath() string { return filepath.Join(m.dir.Path(), m.dir.SocketName()) }

// ask asks the primary to take this process in as its backup.
func (m *member) ask(ctx context.Context, instance string, spawned bool) error {
	fd, err := m.connect(ctx, spawned)
	if err != nil {
		return err
	}
	l, err := m.askOn(ctx, fd, wire.Join{Version: m.cfg.version, PID: m.self.PID, Start: m.self.Start, Instance: instance, Spawned: spawned,
		Build: m.upgrades.build, Program: programPath(), Schema: m.app.schema()})
	if err != nil {
		_ = unix.Close(fd)
		if spawned && errors.Is(err, errRetry) { // there is no second connection to try
			err = fmt.Errorf("%w: %w", errAbandoned, err)
		}
		return err
	}
	m.link = l
	m.mail.setWake(l.page.primary.Ring)
	return nil
}

// connect returns a connection to the primary: the one that it gave to a process it started, or a new one.
func (m *member) connect(ctx context.Context, spawned bool) (int, error) {
	if !spawned {
		return sock.Dial(ctx, m.socketPath())
	}
	unix.CloseOnExec(joinFD)
	if err := unix.SetNonblock(joinFD, true); err != nil {
		return -1, fmt.Errorf("%s is set, but descriptor %d is no connection to a primary: %w", envJoin, joinFD, err)
	}
	return joinFD, nil
}

func (m *member) askOn(ctx context.Context, fd int, join wire.Join) (*link, error) {
	body, err := wire.Marshal(&join)
	if err != nil {
		return nil, err
	}
	pkt, err := wire.Pack(nil, 0, &wire.Frame{Kind: wire.KindJoin, Body: body})
	if err != nil {
		return nil, err
	}
	if err := sock.Send(fd, pkt); err != nil {
		return nil, fmt.Errorf("%w: %w", errRetry, err)
	}
	n, fds, err := m.answer(ctx, fd)
	if err != nil {
		return nil, err
	}
	return m.admitted(fd, m.in[:n], fds)
}

// answer waits for the primary's word.
func (m *member) answer(ctx context.Context, fd int) (int, []int, error) {
	for ctx.Err() == nil {
		n, fds, err := sock.RecvFDs(fd, m.in, admitFDs+maxOrigins)
		if err == nil {
			return n, fds, nil
		}
		if !errors.Is(err, sock.ErrAgain) {
			return 0, nil, fmt.Errorf("%w: %w", errRetry, err)
		}
		if _, err := sock.WaitReadable(fd, 100*time.Millisecond); err != nil {
			return 0, nil, err
		}
	}
	return 0, nil, fmt.Errorf("the primary did not answer: %w", ctx.Err())
}

// admitFDs is how many descriptors come with an admission: the log, the lock, the listener. Those of the application's
// listeners follow.
const admitFDs = 3

// admitted sets this process up as the backup it may be.
func (m *member) admitted(fd int, b []byte, fds []int) (l *link, err error) {
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		if err != nil && l != nil {
			l.sock = -1
			l.close()
		}
	}()
	pkt, err := wire.Parse(b)
	if err != nil {
		return nil, err
	}
	var f wire.Frame
	if _, err := pkt.Next(&f); err != nil {
		return nil, err
	}
	if f.Kind == wire.KindRefuse {
		return nil, refusal(f.Code(), string(f.Body))
	}
	if f.Kind != wire.KindAdmit || len(fds) < admitFDs {
		return nil, fmt.Errorf("frame %v with %d descriptors from the primary, expected %v with %d: %w", f.Kind, len(fds), wire.KindAdmit, admitFDs, errMalformedRecord)
	}
	var admit wire.Admit
	if err := wire.Unmarshal(f.Body, &admit); err != nil {
		return nil, err
	}
	if _, err := hex.Decode(m.instance[:], []byte(admit.Instance)); err != nil || len(admit.Instance) != 2*len(m.instance) {
		return nil, fmt.Errorf("instance %q, expected %d hex digits: %w", admit.Instance, 2*len(m.instance), errMalformedRecord)
	}
	version, err := speak(m.cfg.version, max(admit.Version, 1))
	if err != nil {
		return nil, err
	}
	if l, err = m.mapLog(fds[0]); err != nil {
		return l, err
	}
	l.sock, l.other = fd, program{version: version, build: admit.Build, path: admit.Program}
	if err := m.follows(l, &admit); err != nil {
		return l, err
	}
	listeners := fds[admitFDs:]
	m.lock, m.listener, fds = fds[1], fds[2], fds[:1]
	if err := m.app.adopt(admit.Listen, admit.ListenAt, listeners); err != nil {
		return l, err
	}
	if err := m.poll.Add(m.listener, keyListener, sock.Readable); err != nil {
		return l, err
	}
	m.app.reset()
	m.step(event{kind: evAdmitted, epoch: admit.Epoch, succeeds: admit.Succeed})
	return l, nil
}

// follows ties l to the primary's process.
func (m *member) follows(l *link, admit *wire.Admit) (err error) {
	l.peerID = proc.ID{PID: admit.PID, Start: admit.Start}
	if l.peer, err = proc.Open(l.peerID); err != nil {
		return fmt.Errorf("%w: %w", errRetry, err)
	}
	l.openThreads(admit.TIDs)
	if err := l.watchPeer(l.page.primary.Ring); err != nil {
		return err
	}
	body, err := wire.Marshal(&wire.Joined{TIDs: []int{m.self.PID}})
	if err != nil {
		return err
	}
	return l.send(admit.Epoch, &wire.Frame{Kind: wire.KindJoined, Body: body})
}

// Codes with which a member is refused, beside those of package receive.
var refusals = map[int64]error{
	-100: ErrThirdMember,
	-101: ErrNotPrimary,
	-102: ErrWrongInstance,
	-103: ErrVersion,
	-104: ErrNotSynchronised,
	-105: ErrUpgrading,
	-106: ErrProgram,
	-107: tracked.ErrSchema,
	-7:   ErrStopping,
}

func refusal(code int64, text string) error {
	if err := refusals[code]; err != nil {
		if code == -101 {
			return errRetry
		}
		before, after, _ := strings.Cut(text, err.Error())
		return fmt.Errorf("refused: %s%w%s", before, err, after)
	}
	return fmt.Errorf("refused: %s (error %d)", text, code)
}

// refusalCode is the reverse.
func refusalCode(err error) (int64, string) {
	for code, e := range refusals {
		if errors.Is(err, e) {
			return code, err.Error()
		}
	}
	code, text := receive.Describe(err)
	return int64(code), text
}

// ackSynced tells the primary that this backup holds everything.
func (m *member) ackSynced() {
	m.whole = true
	m.speakAloud()
	m.log.Info("backup synchronised", "pid", m.self.PID, "instance", m.instanceString())
	if err := m.link.send(m.roles.epoch, &wire.Frame{Kind: wire.KindSynced}); err != nil {
		m.log.Warn("cannot tell the primary that the backup is synchronised", "cause", err)
	}
	m.prepareLog(m.roles.epoch + 1)
}

// newLog takes the log that was prepared for the present epoch, or makes one.
func (m *member) newLog() (l *link, err error) {
	l = m.spare
	m.spare = nil
	if l != nil && l.seg.Epoch() != m.roles.epoch {
		m.retire(l)
		l = nil
	}
	if l == nil {
		if l, err = m.makeLog(m.roles.epoch); err != nil {
			return nil, err
		}
	}
	l.since = time.Now()
	l.page.suspect, l.page.suspectCount = m.suspect, uint64(m.deaths)
	return l, nil
}

func (m *member) makeLog(epoch uint32) (*link, error) {
	seg, err := checkpoint.Create(checkpoint.Config{Size: m.cfg.LogSize, Instance: m.instance, Epoch: epoch})
	if err != nil {
		return nil, err
	}
	l, err := newLink(seg, true)
	if err != nil {
		_ = seg.Close()
		return nil, err
	}
	l.writer = seg.Writer(l.page.primary.Ring)
	return l, nil
}

// prepareLog makes a log ahead of time. Its memory is touched once, which takes milliseconds, and a thread is started for
// its beacon: no request is to wait for that.
func (m *member) prepareLog(epoch uint32) {
	m.helpers.Go(func() {
		l, err := m.makeLog(epoch)
		if err != nil {
			m.log.Error("cannot prepare a log", "cause", err)
			return
		}
		_ = l.seg.Populate() // only faster
		m.mail.post(func() {
			if m.spare != nil {
				m.retire(m.spare)
			}
			m.spare = l
			m.admitWaiting()
		})
	})
}
