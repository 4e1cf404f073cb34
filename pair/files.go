package pair

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/filestate"
	"github.com/1fb4ed1c/tandem/internal/wire"
)

// The files of a service, in the order of work of the primary, and as the backup has them.

func (s *Service) checkFiles() error {
	if len(s.files) > 0 && s.cfg.Mode != PrimaryComputes {
		return fmt.Errorf("mode %v with a file, %s: expected PrimaryComputes", s.cfg.Mode, s.files[0].path)
	}
	return nil
}

// settled returns when what earlier calls have planned for f has been done, but for the fsync, which can wait for the end
// of the round.
func (s *Service) settled(f *File) error {
	if !s.m.commit() {
		return ErrNotPrimary
	}
	err := f.sure()
	if err == nil && f.file != nil {
		err = f.finish(f.file.Apply)
	}
	if err != nil {
		s.m.leave(err)
	}
	return err
}

// effects does what the calls of the round have planned for files, and outside.
func (s *Service) effects() error {
	for _, f := range s.files {
		if err := f.sure(); err != nil {
			return err
		}
		if !f.owes || f.file == nil {
			continue
		}
		if err := f.finish(f.file.Do); err != nil {
			return err
		}
		f.owes = false
	}
	return s.act()
}

// rollback undoes the call that runs.
func (s *Service) rollback() {
	s.store.Rollback()
	clear(s.attend.planned)
	s.attend.planned = s.attend.planned[:0]
	for _, f := range s.files {
		f.undo()
	}
}

// followFiles keeps the files open that the primary has open: what somebody does to their names then does not keep this member
// from finishing what is planned for them.
func (s *Service) followFiles() error {
	for _, f := range s.files {
		st := f.state.Get()
		f.unsure = true
		if st.Ino == 0 || st.Ino == f.gone || f.isOpen(&st) {
			continue
		}
		err := f.open()
		if errors.Is(err, filestate.ErrReplaced) {
			f.gone = st.Ino
			s.m.log.Warn("a file of the primary is not there any more", "path", st.Path)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passFiles gives a new backup the files that are open.
func (s *Service) passFiles() {
	for _, f := range s.files {
		if f.passed = 0; f.file != nil {
			f.pass()
		}
	}
}

// promoteFiles makes the files this member's, with what the old primary may have left to do.
func (s *Service) promoteFiles() {
	for _, f := range s.files {
		f.unsure, f.call = true, 0
	}
}

// closeFiles closes the files. Space reserved ahead is given back by who is primary.
func (s *Service) closeFiles() {
	for _, f := range s.files {
		if f.file != nil && (f.unsure || !s.m.serving) {
			_ = f.file.SetState(f.whole(f.state.Get()))
		}
		f.close()
	}
}

// sure finishes what the member that was primary before this one has left, once that is known to be silent.
//
// A file that cannot be found is not what the old primary was busy with: no plan succeeds after its name has been taken away,
// and before that this member was given the file. It is an error of the calls that need it.
func (f *File) sure() error {
	if !f.unsure {
		return nil
	}
	m, st := f.svc.m, f.whole(f.state.Get())
	if st.Ino == 0 || len(st.Pending) == 0 && !st.Unsaved {
		f.unsure = false
		return nil
	}
	if !m.awaitFence() {
		return ErrNotPrimary
	}
	f.unsure = false
	err := f.open()
	if errors.Is(err, filestate.ErrReplaced) {
		m.log.Error("a file is not there any more", "path", st.Path, "cause", err)
		return nil
	}
	if err == nil {
		err = f.file.SetState(st)
	}
	if err != nil {
		return err
	}
	return f.finish(f.file.Do)
}

// finish does what is pending. What somebody else has made impossible meanwhile, by cutting or moving the file, is as if
// that had been done after it.
func (f *File) finish(do func() error) error {
	err := f.svc.m.whileBeating(do)
	if errors.Is(err, filestate.ErrReplaced) || errors.Is(err, filestate.ErrShortened) {
		f.svc.m.log.Error("a file was changed by somebody else", "path", f.file.Path(), "cause", err)
		st := f.file.State()
		st.Pending = nil
		return f.file.SetState(st)
	}
	return err
}

// whileBeating runs f, which waits for the disk for as long as that takes: the other member would wait as long, so this one does not
// count as hung.
func (m *member) whileBeating(f func() error) error {
	l, every := m.link, m.cfg.HangAfter/beatsPerHang
	if l == nil {
		return f()
	}
	var mu sync.Mutex // also keeps the link from being closed under a beat
	var timer *time.Timer
	over := false
	beat := func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			l.page.primaryBeat.Add(1)
			timer.Reset(every)
		}
	}
	mu.Lock()
	timer = time.AfterFunc(every, beat)
	mu.Unlock()
	err := f()
	mu.Lock()
	over = true
	mu.Unlock()
	timer.Stop()
	return err
}

// fileBit tells the IDs of files from those of opens and streams, whose descriptors are passed too.
const fileBit = 1 << 62

// pass gives the backup the file, before the record that names it: so it has the same one, wherever the path leads by then.
func (f *File) pass() {
	m := f.svc.m
	if f.passed = f.file.State().Ino; !m.writing() {
		return
	}
	frame := wire.Frame{Kind: wire.KindPassFD, ID: f.id}
	err := m.insist(func() error { return m.link.send(m.roles.epoch, &frame, f.file.FDs()[0]) })
	if err != nil {
		m.log.Warn("cannot pass a file to the backup, which will look for it by its name", "path", f.file.Path(), "cause", err)
	}
}
