package pair

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/receive"
)

// The monitor is the pair called "ham" (package ham/daemon), if one runs in the same run directory. A pair tells it that it is there, and
// how it was started, whenever it is founded or taken over; so the monitor can start it again when both members are gone. It
// works as well without. A monitor that is started later finds the pairs that run by itself.

const (
	monitorName   = "ham"
	monitorWithin = 5 * time.Second
)

// attendance is what a pair says of itself: see ham/talk.Attendance.
type attendance struct {
	Name  string
	PID   int
	Start uint64
	Argv  []string
	Env   []string
	Dir   string
}

// monitorAnswer is what matters here of talk.Answer.
type monitorAnswer struct {
	Code int
	Text string
}

// attachToMonitor tells the monitor, if there is one, that this process is the pair's primary: as soon as the page says so, which the
// monitor looks at. Either sees the other, then, if both are founded in the same moment.
func (m *member) attachToMonitor() {
	if m.cfg.NoMonitor || m.name == monitorName {
		return
	}
	root := filepath.Dir(m.dir.Path())
	m.helpers.Go(func() {
		if !m.awaitPage(root) {
			return
		}
		page, err := registry.Read(root, monitorName)
		if err == nil && page.Primary != nil && (proc.ID{PID: page.Primary.PID, Start: page.Primary.Start}).Alive() {
			m.tellMonitor(root)
		}
	})
}

// pageLook is between two looks at the page.
const pageLook = 10 * time.Millisecond

// awaitPage waits until the page says that this process is the primary, which it does when the old primary is known to be silent.
func (m *member) awaitPage(root string) bool {
	for end := time.Now().Add(monitorWithin); time.Now().Before(end); {
		page, err := registry.Read(root, m.name)
		if err == nil && page.Primary != nil && page.Primary.PID == m.self.PID && page.Primary.Start == m.self.Start {
			return true
		}
		select {
		case <-m.quit:
			return false
		case <-time.After(pageLook):
		}
	}
	return false
}

// tellMonitor tells the monitor how this process was started. It gives up soon, or when this member leaves.
func (m *member) tellMonitor(root string) {
	a := attendance{Name: m.name, PID: m.self.PID, Start: m.self.Start, Argv: slices.Clone(os.Args), Env: proc.Lasting(os.Environ())}
	a.Dir, _ = os.Getwd()
	if exe, err := os.Executable(); err == nil && len(a.Argv) > 0 {
		a.Argv[0] = strings.TrimSuffix(exe, " (deleted)") // a file that was put in its place since is what to start
	}
	ctx, cancel := context.WithTimeout(context.Background(), monitorWithin)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-m.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	switch refusal, err := tell(ctx, root, &a); {
	case err != nil && ctx.Err() == nil:
		m.log.Warn("cannot tell the monitor of this pair", "cause", err)
	case refusal != "":
		m.log.Warn("the monitor does not watch this pair", "cause", refusal)
	}
}

func tell(ctx context.Context, root string, a *attendance) (refusal string, err error) {
	c, err := receive.Dial(ctx, monitorName, receive.RunDir(root), receive.RetryFor(monitorWithin))
	if err != nil {
		return "", err
	}
	defer c.Close()
	answer, err := receive.Call[monitorAnswer](ctx, c, "pair", a)
	return answer.Text, err
}
