package serving

import (
	"errors"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// servers are the processes of one service, and what processor time they use. That hardly depends on what else the machine does, as
// throughput does.
type servers struct {
	all []*proc.Process // the primary, and the backup if there is one

	// Of the slice before. A backup follows when it likes: what it has used is known when the others have had their turns.
	point           *Point // nil: it does not count
	requests        float64
	primary, backup time.Duration
}

func serversOf(p *registry.Page) (*servers, error) {
	s := &servers{}
	for _, m := range []*registry.Member{p.Primary, p.Backup} {
		if m == nil {
			continue
		}
		one, err := subject.Member(m)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.all = append(s.all, one)
	}
	return s, nil
}

func (s *servers) close() (err error) {
	for _, p := range s.all {
		err = errors.Join(err, p.Close())
	}
	return err
}

// used is the processor time of each so far.
func (s *servers) used() (primary, backup time.Duration, err error) {
	for i, p := range s.all {
		t, err := p.CPUTime()
		if err != nil {
			return 0, 0, err
		}
		if i == 0 {
			primary = t
		} else {
			backup = t
		}
	}
	return primary, backup, nil
}

// begin ends the slice before, and begins another.
func (s *servers) begin() error {
	primary, backup, err := s.used()
	if err != nil {
		return err
	}
	if p := s.point; p != nil && s.requests > 0 {
		each := func(d time.Duration) float64 { return float64(d) / 1e3 / s.requests }
		p.primary, p.backup = append(p.primary, each(primary-s.primary)), append(p.backup, each(backup-s.backup))
		p.RawCPU = append(p.RawCPU, each(primary-s.primary+backup-s.backup))
	}
	s.point, s.primary, s.backup = nil, primary, backup
	return nil
}

// end says whose slice it was.
func (s *servers) end(p *Point, requests int64) { s.point, s.requests = p, float64(requests) }
