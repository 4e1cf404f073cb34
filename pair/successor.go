package pair

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// The members' part of an upgrade (upgrade.go): a process of another program is started, and takes the backup's place. The
// present backup keeps it until the successor has shown that it runs, that it is a member of this pair, and that it tracks
// everything which the state consists of. From then on until it holds the whole state the pair is unprotected, as after
// the loss of a backup: a log has one reader.

// upgrades is what a member knows of upgrades.
type upgrades struct {
	build   string   // of this process
	asked   *upgrade // not begun yet
	now     *upgrade // under way; nil: none
	waiting []*conn  // administrators who want to know when both members are of this program
}

// upgrade is one half of an upgrade: one successor.
type upgrade struct {
	asker  *conn  // called for it, and calls it off by going away; nil: the other half of one that has become primary
	path   string // of the program; empty: this member's own
	child  *proc.Child
	speech *speech
	conn   *conn // its connection, until it is taken in
	taken  bool  // it is
	reason error // why it cannot be the backup, in its own words or ours
}

// path names the program of the upgrade that is under way.
func (u *upgrades) path() string {
	switch {
	case u.now == nil:
		return ""
	case u.now.path == "":
		return programPath()
	}
	return shown(u.now.path)
}

// errSameProgram says that a successor is not needed.
var errSameProgram = errors.New("the primary runs this program already")

// checkProgram says what speaks against starting a file, and whether it is the one that this process runs.
func checkProgram(path, build string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no absolute path", path)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s cannot be executed: %w", path, err)
	}
	if strings.HasPrefix(build, buildOfFile(&st)+" ") {
		return errSameProgram
	}
	return nil
}

// upgradeAsked begins an upgrade to the program in a file, if it can be begun.
func (m *member) upgradeAsked(c *conn, path string) {
	m.upgrades.asked = &upgrade{asker: c, path: path}
	m.step(event{kind: evUpgrade})
}

func (m *member) refuseUpgrade(err error) {
	u := m.upgrades.asked
	m.upgrades.asked = nil
	if u != nil && u.asker != nil {
		m.answerCommand(u.asker, err)
	}
}

// callSuccessor starts a successor of the backup.
func (m *member) callSuccessor() {
	u := m.upgrades.asked
	m.upgrades.asked = nil
	if u == nil {
		u = &upgrade{}
	}
	m.upgrades.now = u
	if m.spare == nil || m.spare.seg.Epoch() != m.roles.epoch {
		m.prepareLog(m.roles.epoch)
	}
	m.publish()
	env, build := append(m.childEnv(), envMuffled+"=1"), m.upgrades.build
	m.helpers.Go(func() {
		var n newcomer
		var err error
		if u.path != "" {
			err = checkProgram(u.path, build)
		}
		if err == nil {
			n, err = startSuccessor(u.path, env)
		}
		m.mail.post(func() { m.successorStarted(u, n, err) })
		if err != nil {
			return
		}
		go func() { // ends with the child, whose life this process does not wait for
			<-n.child.Done()
			m.mail.post(func() { m.successorEnded(u) })
		}()
	})
}

// newcomer is a process that was started as a successor.
type newcomer struct {
	child  *proc.Child
	speech *speech
	fd     int // our end of its connection
}

func startSuccessor(path string, env []string) (n newcomer, err error) {
	ours, theirs, err := joinSocket()
	if err != nil {
		return n, err
	}
	defer theirs.Close()
	r, w, err := os.Pipe()
	if err != nil {
		_ = unix.Close(ours)
		return n, err
	}
	defer w.Close()
	args := append([]string{cmp.Or(path, os.Args[0])}, os.Args[1:]...)
	child, err := proc.Spawn(proc.Spec{Path: path, Args: args, Env: env, Stdout: w, Stderr: w, Files: []*os.File{theirs, os.Stdout, os.Stderr}})
	if err != nil {
		_ = unix.Close(ours)
		_ = r.Close()
		return n, err
	}
	return newcomer{child: child, speech: hear(r), fd: ours}, nil
}

// successorStarted seats the connection of a successor.
func (m *member) successorStarted(u *upgrade, n newcomer, err error) {
	u.child, u.speech = n.child, n.speech
	switch {
	case m.left || m.upgrades.now != u: // called off meanwhile
		if err == nil {
			_ = unix.Close(n.fd)
			u.kill()
		}
		return
	case errors.Is(err, errSameProgram):
		m.upgrades.now = nil
		m.step(event{kind: evSuccessorLost})
		m.inform(u, m.upgrades.build, errSameProgram.Error())
		m.answerCommand(u.asker, nil)
		return
	case err != nil:
		m.successorFailed(u, err)
		return
	}
	c := &conn{fd: n.fd, pid: u.child.ID().PID, deadline: m.now + spawnWithin}
	if err := m.seat(c); err != nil {
		_ = unix.Close(n.fd)
		m.successorFailed(u, err)
		return
	}
	u.conn = c
	m.log.Info("a successor of the backup was started", "pid", c.pid, "program", m.upgrades.path())
	m.inform(u, "", fmt.Sprintf("process %d was started", c.pid))
}

// successorEnded handles the end of a successor that has not been taken in. Of one that has, the link tells.
func (m *member) successorEnded(u *upgrade) {
	if m.upgrades.now != u || u.taken {
		return
	}
	reason := u.reason
	if reason == nil {
		reason = fmt.Errorf("it ended before it had joined, with %v", u.child.State())
	}
	m.successorFailed(u, reason)
}

// dropSuccessor gives up a successor that has been called and has not joined.
func (m *member) dropSuccessor(ev event) {
	reason := ErrStopping
	switch {
	case m.upgrades.now == nil:
		return
	case ev.kind == evTick:
		reason = fmt.Errorf("it did not ask to join within %v", m.roles.joinBy)
	case ev.kind != evStop:
		reason = ErrDeposed
	}
	m.successorFailed(m.upgrades.now, reason)
}

// successorFailed ends the upgrade before the backup has been touched.
func (m *member) successorFailed(u *upgrade, reason error) {
	m.upgrades.now = nil
	if u.conn != nil && u.conn.fd >= 0 {
		m.disconnect(u.conn, nil) // nothing that it still says counts
	}
	u.kill()
	m.step(event{kind: evSuccessorLost})
	m.conclude(u, reason)
}

// takeSuccessor notes that the process which is being admitted is the successor.
func (m *member) takeSuccessor(chosen bool) {
	u := m.upgrades.now
	if !chosen || u == nil {
		return
	}
	u.taken = true
	m.inform(u, u.conn.join.other.build, "it has joined and is being filled; the pair is unprotected")
}

// successorLost ends the upgrade when a successor is given up that had been taken in.
func (m *member) successorLost(c cause) {
	u := m.upgrades.now
	if u == nil || !u.taken {
		return
	}
	m.upgrades.now = nil
	u.kill()
	reason := u.reason
	switch {
	case reason != nil:
	case c == causeDeath:
		reason = errors.New("it ended before it held the whole state")
	case c == causeRecalled:
		reason = errRecalled
	default:
		reason = fmt.Errorf("it was given up before it held the whole state (%s)", c)
	}
	m.conclude(u, reason)
}

// successorSynced goes on with the upgrade when the pair is protected: the successor is to be the primary; or both halves
// are new now.
func (m *member) successorSynced() {
	u := m.upgrades.now
	switch {
	case u == nil || !u.taken:
	case u.asker == nil:
		m.inform(u, "", "it holds the whole state")
		m.upgrades.now = nil
		m.publish()
		m.renewed()
		return
	case u.asker.fd < 0:
		m.step(event{kind: evPartnerLost, cause: causeRecalled})
		return
	default:
		m.upgrades.now = nil
		m.inform(u, "", "it holds the whole state; the roles change")
		m.askers = append(m.askers, u.asker)
		m.step(event{kind: evSwitch})
		return
	}
	m.renew()
}

// checkUpgrade calls off what nobody waits for any more.
func (m *member) checkUpgrade() {
	u := m.upgrades.now
	switch {
	case u == nil || u.asker == nil || u.asker.fd >= 0:
	case u.taken:
		m.step(event{kind: evPartnerLost, cause: causeRecalled})
	case u.child != nil:
		m.successorFailed(u, errRecalled)
	}
}

var errRecalled = errors.New("whoever asked for the upgrade went away")

// renewAsked answers an administrator as soon as both members are of the given build, which this one must be.
func (m *member) renewAsked(c *conn, build string) {
	if build != m.upgrades.build {
		m.answerCommand(c, fmt.Errorf("process %d of %s is the primary: %w", m.self.PID, programPath(), ErrProgram))
		return
	}
	m.upgrades.waiting = append(m.upgrades.waiting, c)
	m.renew()
}

// renew replaces a backup of another program by one of ours, for those who wait for that.
func (m *member) renew() {
	if len(m.upgrades.waiting) == 0 || m.upgrades.now != nil || m.roles.partner != synced {
		return // what comes next looks again
	}
	if !m.alike() {
		m.step(event{kind: evUpgrade})
		return
	}
	m.renewed()
}

// renewed tells those who wait that both members are new, when they can find it on the page.
func (m *member) renewed() {
	m.status.after(func() {
		m.mail.post(func() {
			if m.roles.partner != synced {
				return // lost again: the next one is ours too
			}
			for _, c := range m.upgrades.waiting {
				m.answerCommand(c, nil)
			}
			m.upgrades.waiting = nil
		})
	})
}

// lastWordsWithin bounds the wait for what a successor that has failed had to say.
const lastWordsWithin = 500 * time.Millisecond

// conclude tells whom it concerns that an upgrade has failed, and why.
func (m *member) conclude(u *upgrade, reason error) {
	m.publish()
	var waiting []*conn
	if u.asker == nil && !u.taken {
		waiting, m.upgrades.waiting = m.upgrades.waiting, nil
	}
	m.helpers.Go(func() {
		if u.child != nil {
			select {
			case <-u.child.Done():
			case <-time.After(lastWordsWithin):
			}
			reason = saying(reason, u.speech.words(lastWordsWithin))
		}
		m.mail.post(func() {
			m.log.Error("a successor could not replace the backup", "program", u.path, "cause", reason)
			switch {
			case u.asker != nil:
				m.answerCommand(u.asker, fmt.Errorf("%w: %v; process %d of %s goes on", ErrProgram, reason, m.self.PID, programPath()))
			case u.taken: // a backup of this program is started now in any case
				m.inform(u, "", reason.Error()+"; another one is started")
			}
			for _, c := range waiting {
				m.answerCommand(c, fmt.Errorf("%w: %v; process %d of %s is the primary, the other half is still of the program before",
					ErrProgram, reason, m.self.PID, programPath()))
			}
		})
	})
}

// abandonSuccessor ends what this member, which leaves, has begun.
func (m *member) abandonSuccessor() {
	if u := m.upgrades.now; u != nil && !u.taken {
		u.kill()
	}
}

// kill ends a successor. One that holds nothing of the pair need not be fenced.
func (u *upgrade) kill() {
	if u.child == nil {
		return
	}
	p, err := proc.Open(u.child.ID())
	if err != nil {
		return // gone
	}
	defer p.Close()
	_ = p.Signal(unix.SIGKILL)
}

// inform tells those who wait for the upgrade of a step, and under which name its outcome is to be asked for.
func (m *member) inform(u *upgrade, build, text string) {
	pkt, err := wire.Pack(nil, m.roles.epoch, &wire.Frame{Kind: wire.KindNotice, Method: []byte(build), Body: []byte(text)})
	to := m.upgrades.waiting
	if u.asker != nil {
		to = []*conn{u.asker}
	}
	for _, c := range to {
		if err == nil && c.fd >= 0 {
			_ = sock.Send(c.fd, pkt)
		}
	}
}
