package pair

import (
	"fmt"
	"time"

	"github.com/1fb4ed1c/tandem/receive"
)

// The service as its backup sees it: how it is filled, and what the records do to it.

// startFill begins to bring a new backup to the present state.
func (s *Service) startFill() error {
	s.writeSchema()
	s.store.TrackDirty(false)
	s.store.StartWalk()
	s.fillStreams()
	s.passFiles()
	return nil
}

// chunkSize is how much of the state goes into one record: small enough that no request waits long behind it.
const chunkSize = 32 << 10

func (s *Service) fill() (done bool, err error) {
	if len(s.streaming.unfilled) > 0 {
		s.fillStream()
		return false, nil
	}
	s.chunk, done, err = s.store.NextChunk(s.chunk[:0], min(chunkSize, s.cfg.LogSize/16))
	if err != nil {
		return false, err
	}
	if len(s.chunk) > 0 {
		if b := s.m.reserve(kindChunk, len(s.chunk)); b != nil {
			copy(b, s.chunk)
		}
	}
	return done, nil
}

func (s *Service) stopFill() {
	s.store.StopWalk()
	s.streaming.unfilled = nil
}

func (s *Service) filled(on bool) {
	if on && !s.m.serving {
		if err := s.followFiles(); err != nil {
			s.m.leave(err)
		}
	}
	on = on && s.bothCompute()
	s.replay.reset()
	s.replay.on = on && s.cfg.Mode == BackupLazy
	s.store.TrackDirty(s.replay.on && s.m.serving)
	s.store.Mute(on) // the other member makes the changes itself
}

func (s *Service) reset() {
	s.store.Reset()
	s.replay.reset()
}

// apply takes one record of the primary.
func (s *Service) apply(kind recordKind, b []byte) error {
	if s.replay.later(kind) {
		s.replay.keep(kind, b)
		return nil
	}
	switch kind {
	case kindSchema:
		return s.applySchema(b)
	case kindChunk:
		return s.store.ApplyChunk(b)
	case kindCommit:
		return s.applyCommit(b)
	case kindRequest:
		return s.applyRequest(b)
	case kindDelta:
		return s.applyDelta(b)
	case kindStream:
		return s.applyStream(b)
	case kindInput:
		return s.applyInput(b)
	}
	return fmt.Errorf("record of kind %d: %w", kind, errMalformedRecord)
}

func (s *Service) applyCommit(b []byte) error {
	var r commitRecord
	if err := r.parse(b); err != nil {
		return err
	}
	if err := s.store.Apply(r.changes); err != nil {
		return err
	}
	s.save(&r)
	return s.followFiles()
}

// applyRequest runs on the backup what the primary has run.
func (s *Service) applyRequest(b []byte) error {
	var r requestRecord
	if err := r.parse(b); err != nil {
		return err
	}
	code := s.run(&r)
	if code == 0 {
		s.store.Commit()
	}
	if isStream(r.opener) {
		code = streamCode(s.call.hangup)
	}
	s.save(&commitRecord{opener: r.opener, id: r.id, low: r.low, code: code, reply: s.out})
	return nil
}

// save keeps what was answered.
func (s *Service) save(r *commitRecord) {
	if isStream(r.opener) {
		s.saveStream(r)
		return
	}
	s.m.save(r.opener, r.id, r.low, r.code, r.reply)
}

func (s *Service) promote(planned bool) (complete bool, err error) {
	if err := s.replay.all(s); err != nil {
		return false, err
	}
	s.lead()
	s.armTimers()
	s.promoteFiles()
	s.attendPromoted(planned)
	return true, s.promoteStreams()
}

// settle ends a round: a snapshot that is due sees the changes of whole calls.
func (s *Service) settle() {
	s.recoverSome()
	s.takeInputs()
	if s.replay.count < s.cfg.SnapshotEvery {
		return
	}
	if err := s.snapshot(); err != nil {
		s.m.fillFailed(err)
	}
}

func (s *Service) demote() {
	s.store.TrackDirty(false)
	s.parked = parking{}
	s.attendDemoted()
	s.demoteStreams()
}

func (s *Service) cancel(*receive.Opener, uint64)        {} // its handler has run, or will not be told
func (s *Service) round(now time.Duration) time.Duration { return s.fireTimers(now) }

var _ application = (*Service)(nil)
