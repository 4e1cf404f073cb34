package pair

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// run loops until the member leaves. The end of ctx stops the whole pair.
func (m *member) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, m.stop)
	defer stop()
	defer m.close()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.urgent.allowed = m.cfg.Mode != BackupLazy
	defer m.calmDown(true)
	for !m.left {
		m.round()
	}
	return m.gone
}

// catchSignals makes the usual signals stop the whole pair, unless the program wants them. A closed log must not end a member: writing
// to a broken pipe behind stdout or stderr raises SIGPIPE. It is caught and not ignored, for what is ignored would be so in
// every program that this one starts.
func (m *member) catchSignals() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	if m.cfg.OwnSignals {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	m.signals = signals
	m.helpers.Go(func() {
		for sig := range signals {
			m.log.Info("asked to stop the pair", "signal", sig)
			m.stop()
		}
	})
}

func (m *member) releaseSignals() {
	if m.signals == nil {
		return
	}
	signal.Stop(m.signals)
	close(m.signals)
	m.signals = nil
}

// stop asks for the end of the whole pair.
func (m *member) stop() { m.mail.post(func() { m.step(event{kind: evStop}) }) }

// round is one turn of the loop, as whatever this member is. The lock is held on entry and on return.
func (m *member) round() {
	if m.roles.role == Primary {
		m.roundPrimary()
	} else {
		m.roundBackup()
	}
	for _, f := range m.mail.take() {
		f()
	}
}

// wakeAt makes the loop look up at the given time at the latest.
func (m *member) wakeAt(at time.Duration) {
	if m.due == 0 || at < m.due {
		m.due = at
	}
}

// work does what a primary does besides requests. It must never take long.
func (m *member) work() {
	if m.due > 0 && m.now >= m.due {
		m.due = 0
		m.unmuteListener()
		m.expire()
		if next := m.app.round(m.now); next > 0 {
			m.wakeAt(next)
		}
	}
	m.calmDown(false)
	if len(m.unsaid) > 0 {
		m.tellSome()
	}
	m.fillSome()
	if m.now-m.checked >= m.cfg.HangAfter/beatsPerHang {
		m.checked = m.now
		m.checkBackup()
		m.step(event{kind: evTick})
		if m.effects.open() { // or the page is not this member's to write yet
			m.status.count(m.requests)
		}
	} else if m.roles.partner == alone && m.roles.spawning && m.now >= m.roles.retryAt {
		m.step(event{kind: evTick})
	}
}

// leave ends this member. The loop returns m.gone.
func (m *member) leave(err error) {
	if m.left {
		return
	}
	m.left, m.gone, m.roles.role = true, err, Gone
	if err != nil {
		m.log.Error("this member leaves", "pid", m.self.PID, "cause", err)
		if l := m.link; l != nil && l.reader != nil {
			_ = l.send(m.roles.epoch, refuseFrame(err))
		}
		return
	}
	if m.serving {
		m.farewell()
	}
}

// close lets go of everything. A primary that leaves a backup behind announces its death to it.
func (m *member) close() {
	if m.closing.Swap(true) {
		return
	}
	close(m.quit)
	stopped := m.left && m.gone == nil && m.serving
	m.mail.setWake(nil)
	if l := m.link; l != nil && l.beacon != nil && !stopped {
		if m.gone != nil && m.logs != nil {
			m.logs.flush() // whoever takes over kills this process at once, and it is to be known why
		}
		l.beacon.Announce() // this process may live on, but not as a member
	}
	for _, l := range []*link{m.link, m.between} {
		if l != nil {
			l.close()
		}
	}
	m.link, m.between = nil, nil
	m.seats.each(m.closeFD)
	for id := range m.passed {
		fd, _ := m.passed.take(id)
		_ = unix.Close(fd)
	}
	m.releaseSignals()
	m.abandonSuccessor()
	m.helpers.Wait()
	for _, f := range m.mail.take() {
		f()
	}
	if m.spare != nil {
		m.spare.close()
		m.spare = nil
	}
	if m.status != nil {
		m.status.close(stopped)
	}
	if m.app != nil {
		m.app.close()
	}
	for _, fd := range []int{m.listener, m.lock} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	m.listener, m.lock = -1, -1
	if m.poll != nil {
		_ = m.poll.Close()
	}
	if m.dir != nil {
		_ = m.dir.Close()
	}
	if m.logs != nil {
		m.logs.close()
	}
}
