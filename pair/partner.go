package pair

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// What a primary does for and with its backup.

// joiner is a process that asked to become the backup.
type joiner struct {
	id      proc.ID
	spawned bool
	other   program
}

// spawn starts this program once more, as the backup. It gets a connection to this process, and so finds it whatever
// becomes of the run directory.
func (m *member) spawn() {
	m.child = nil // the one before has joined, or is given up: its end is no news of this one
	if m.spare == nil || m.spare.seg.Epoch() != m.roles.epoch {
		m.prepareLog(m.roles.epoch)
	}
	env := m.childEnv()
	m.helpers.Go(func() {
		child, fd, err := spawnMember(env)
		if err != nil {
			m.log.Error("cannot start a backup", "cause", err)
			m.mail.post(func() { m.step(event{kind: evSpawnFailed, cause: causeFailed}) })
			return
		}
		m.mail.post(func() { m.spawned(child, fd) })
		go func() { // ends with the child, whose life this process does not wait for
			<-child.Done()
			m.mail.post(func() { m.childEnded(child) })
		}()
	})
}

// joinFD is where a spawned process finds its connection to the primary.
const joinFD = 3

// joinSocket makes a connection for a process that is to be started.
func joinSocket() (ours int, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("cannot make its connection: %w", err)
	}
	return fds[0], os.NewFile(uintptr(fds[1]), "join"), nil
}

// spawnMember starts the program that this process runs: what has been put in the place of its file since, is not part
// of this pair before somebody upgrades it.
func spawnMember(env []string) (*proc.Child, int, error) {
	ours, theirs, err := joinSocket()
	if err != nil {
		return nil, -1, err
	}
	defer theirs.Close()
	child, err := proc.Spawn(proc.Spec{Args: os.Args, Env: env, Stdout: os.Stdout, Stderr: os.Stderr, Files: []*os.File{theirs}})
	if err != nil {
		_ = unix.Close(ours)
		return nil, -1, err
	}
	return child, ours, nil
}

// spawned seats the connection of a process that was started as backup.
func (m *member) spawned(child *proc.Child, fd int) {
	m.child = child
	c := &conn{fd: fd, pid: child.ID().PID, deadline: m.now + spawnWithin}
	if m.left || m.seat(c) != nil {
		_ = unix.Close(fd) // it sees the end of file and ends
	}
}

func (m *member) childEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, envJoin+"=") || strings.HasPrefix(s, envMuffled+"=")
	})
	return append(env, envJoin+"="+m.name+"/"+m.instanceString())
}

// childEnded handles the end of a process that was started as backup, if it never became one.
func (m *member) childEnded(child *proc.Child) {
	if m.child != child {
		return
	}
	m.child = nil
	if m.roles.role == Primary && m.roles.partner == starting {
		m.log.Error("a backup ended before it had joined", "pid", child.ID().PID, "state", fmt.Sprint(child.State()))
		m.step(event{kind: evSpawnFailed, cause: causeFailed})
	}
}

// joinAsked handles the wish of a process to become the backup.
func (m *member) joinAsked(c *conn, f *wire.Frame) {
	var j wire.Join
	if err := wire.Unmarshal(f.Body, &j); err != nil {
		m.disconnect(c, err)
		return
	}
	u := m.upgrades.now
	chosen := u != nil && u.conn == c
	version, err := m.suits(c, &j)
	if err != nil {
		if chosen {
			u.reason = err
		}
		m.refuse(c, err)
		return
	}
	c.kind, c.join = connJoining, joiner{id: proc.ID{PID: j.PID, Start: j.Start}, spawned: j.Spawned,
		other: program{version: version, build: j.Build, path: shown(j.Program)}}
	m.step(event{kind: evJoin, seat: c.seat, hand: !j.Spawned, chosen: chosen})
}

// suits says what speaks against a process as backup, before anybody makes room for it; or in which version it is spoken to.
func (m *member) suits(c *conn, j *wire.Join) (version int, err error) {
	if version, err = speak(m.cfg.version, j.Version); err != nil {
		return 0, err
	}
	switch {
	case j.Instance != "" && j.Instance != m.instanceString():
		return 0, fmt.Errorf("started for instance %s: %w", j.Instance, ErrWrongInstance)
	case j.PID != c.pid:
		return 0, fmt.Errorf("process %d says that it is %d: %w", c.pid, j.PID, receive.ErrBadRequest)
	case len(j.Schema) > 0:
		return version, m.app.readable(j.Schema)
	}
	return version, nil
}

// admit takes a process in as the backup.
func (m *member) admit(seat int) {
	c := m.seats.at(seat)
	if c == nil || c.kind != connJoining || c.fd < 0 { // it went away while it waited
		m.step(event{kind: evPartnerLost, cause: causeFailed})
		return
	}
	if m.spare == nil || m.spare.seg.Epoch() != m.roles.epoch {
		m.waiting = c // until the log is ready: see prepareLog
		m.prepareLog(m.roles.epoch)
		return
	}
	if err := m.pairWith(c); err != nil {
		m.log.Error("cannot take a backup in", "pid", c.join.id.PID, "cause", err)
		m.refuse(c, err)
		m.step(event{kind: evPartnerLost, cause: causeFailed})
	}
}

// admitWaiting goes on with a process that waits for the log.
func (m *member) admitWaiting() {
	c := m.waiting
	m.waiting = nil
	if c != nil && m.roles.role == Primary && m.roles.partner == filling && m.link == nil {
		m.admit(c.seat)
	}
}

// pairWith turns the connection of a joining process into the link with the backup.
func (m *member) pairWith(c *conn) error {
	peer, err := proc.Open(c.join.id)
	if err != nil {
		return err
	}
	l, err := m.newLog()
	if err != nil {
		_ = peer.Close()
		return err
	}
	l.peer, l.peerID, l.spawned, l.other = peer, c.join.id, c.join.spawned, c.join.other
	l.sock = c.fd
	if err := m.sendLog(l, wire.KindAdmit); err != nil {
		l.sock = -1
		m.helpers.Go(l.close)
		return err
	}
	_ = m.poll.Del(c.fd)
	c.fd = -1
	m.seats.leave(c)
	if err := m.equip(l); err != nil {
		m.helpers.Go(l.close)
		return err
	}
	m.link = l
	m.startFill()
	return nil
}

// sendLog sends the log, and to a new member also the lock and the listener.
func (m *member) sendLog(l *link, kind wire.Kind) error {
	addrs, at, listeners := m.app.listeners()
	u := m.upgrades.now
	body, err := wire.Marshal(&wire.Admit{Version: l.other.version, Build: m.upgrades.build, Program: programPath(),
		Succeed: u != nil && u.taken && u.path != "" && kind == wire.KindAdmit, Instance: m.instanceString(), Epoch: m.roles.epoch, PID: m.self.PID, Start: m.self.Start,
		TIDs: []int{l.beacon.TID(), m.self.PID}, Openers: m.openers.Len(), Listen: addrs, ListenAt: at})
	if err != nil {
		return err
	}
	fds := []int{l.seg.FD()}
	if kind == wire.KindAdmit {
		fds = append(append(fds, m.lock, m.listener), listeners...)
	}
	return l.send(m.roles.epoch, &wire.Frame{Kind: kind, Body: body}, fds...)
}

// equip watches the backup: its words and its death.
func (m *member) equip(l *link) error {
	err := m.poll.Add(l.sock, keyLink, sock.Readable)
	for _, fd := range l.threads {
		err = errors.Join(err, m.poll.Add(fd, keyPeer, sock.Readable))
	}
	return errors.Join(err, m.poll.Add(l.peer.FD(), keyPeer, sock.Readable))
}

// unequip is the reverse.
func (m *member) unequip(l *link) {
	_ = m.poll.Del(l.sock)
	for _, fd := range l.threads {
		_ = m.poll.Del(fd)
	}
	_ = m.poll.Del(l.peer.FD())
}

// readLink takes what the backup says.
func (m *member) readLink() {
	l := m.link
	if l == nil {
		return
	}
	n, err := sock.Recv(l.sock, m.in)
	if errors.Is(err, sock.ErrAgain) {
		return
	}
	if err != nil {
		c := causeDeath
		if !errors.Is(err, io.EOF) {
			c = causeFailed
		}
		m.step(event{kind: evPartnerLost, cause: c})
		return
	}
	pkt, err := wire.Parse(m.in[:n])
	var f wire.Frame
	for err == nil && m.link == l {
		var ok bool
		if ok, err = pkt.Next(&f); err != nil || !ok {
			break
		}
		m.linkFrame(l, &f)
	}
	if err != nil {
		m.log.Error("the backup breaks the protocol", "cause", err)
		m.step(event{kind: evPartnerLost, cause: causeFailed})
	}
}

func (m *member) linkFrame(l *link, f *wire.Frame) {
	switch f.Kind {
	case wire.KindJoined:
		var j wire.Joined
		if err := wire.Unmarshal(f.Body, &j); err != nil || len(j.TIDs) > 4 {
			m.step(event{kind: evPartnerLost, cause: causeFailed})
			return
		}
		at := len(l.threads)
		l.openThreads(j.TIDs)
		for _, fd := range l.threads[at:] {
			_ = m.poll.Add(fd, keyPeer, sock.Readable)
		}
	case wire.KindSynced:
		m.synced()
	case wire.KindStop:
		m.step(event{kind: evStop})
	case wire.KindRefuse:
		m.log.Error("the backup gives up", "cause", string(f.Body))
		if u := m.upgrades.now; u != nil && u.taken {
			u.reason = errors.New(string(f.Body))
		}
		m.step(event{kind: evPartnerLost, cause: causeFailed})
	}
}

// synced notes that the pair is protected.
func (m *member) synced() {
	m.step(event{kind: evSynced})
	if m.roles.partner != synced {
		return
	}
	if t := m.takeover; t != nil && t.restored == 0 {
		t.restored = t.since(&m.clock)
	}
	m.log.Info("the pair is protected", "backup", m.link.peerID.PID)
	m.app.notify(receive.BackupSynchronised{PID: m.link.peerID.PID})
	m.publish()
	m.successorSynced()
}

// closeLog swaps the backup out: from now on it can never take over, alive or not.
func (m *member) closeLog(c cause) {
	won := true
	if m.writing() {
		won = m.link.writer.Close() == nil
	}
	m.step(event{kind: evClosed, won: won, cause: c})
}

// dropPartner lets go of what was the backup, and sees to its death.
func (m *member) dropPartner(c cause) {
	m.successorLost(c)
	m.waiting = nil
	m.stopFill()
	m.app.filled(false)
	l := m.link
	m.link = nil
	if l == nil {
		if child := m.child; child != nil { // it did not join in time
			m.child = nil
			m.fenceChild(child)
		}
		return
	}
	m.log.Warn("the backup is gone", "pid", l.peerID.PID, "cause", c)
	m.app.notify(receive.ProcessDeletion{Who: receive.Backup, PID: l.peerID.PID, Name: m.name, Cause: string(c)})
	m.unequip(l)
	m.helpers.Go(func() {
		if err := l.peer.Fence(fenceWithin); err != nil {
			m.log.Error("the old backup cannot be fenced; it can never take over", "pid", l.peerID.PID, "error", err)
		}
		l.close()
	})
}

// fenceChild ends a process that was started as backup and did not join in time.
func (m *member) fenceChild(child *proc.Child) {
	m.helpers.Go(func() {
		p, err := proc.Open(child.ID())
		if err != nil {
			return // gone
		}
		defer p.Close()
		if err := p.Fence(fenceWithin); err != nil {
			m.log.Error("a backup that did not join cannot be fenced", "pid", child.ID().PID, "error", err)
		}
	})
}

// checkBackup gives up a backup that shows no progress: it protects nobody.
func (m *member) checkBackup() {
	m.checkUpgrade()
	l := m.link
	if l == nil {
		return
	}
	still := l.stalled(l.page.backupBeat.Load(), m.now, m.cfg.HangAfter/beatsPerHang+napLong)
	if still < m.cfg.HangAfter/stoppedPart {
		return
	}
	c := causeHang
	if state, err := l.peer.State(); err == nil && state == 'T' {
		c = causeStopped
	} else if still < m.cfg.HangAfter {
		return
	}
	m.step(event{kind: evPartnerLost, cause: c})
}

// ring wakes the backup.
func (m *member) ring() {
	if m.link != nil {
		m.link.page.primary.Ring()
	}
}
