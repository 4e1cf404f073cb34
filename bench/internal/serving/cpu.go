package serving

import (
	"errors"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// servers are the processes of one service. What processor time they use hardly depends on what else the machine does, as throughput
// does.
type servers []*proc.Process // the primary, and the backup if there is one

func serversOf(p *registry.Page) (s servers, err error) {
	for _, m := range []*registry.Member{p.Primary, p.Backup} {
		if m == nil {
			continue
		}
		one, err := subject.Member(m)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s = append(s, one)
	}
	return s, nil
}

func (s servers) close() (err error) {
	for _, p := range s {
		err = errors.Join(err, p.Close())
	}
	return err
}

// used is the processor time of each so far.
func (s servers) used() (primary, backup time.Duration, err error) {
	for i, p := range s {
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

// settle is how long a backup may need to catch up after a slice.
const settle = 2 * time.Millisecond
