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

// attachToMonitor tells the monitor, if there is one, that this process is the pair's primary.
func (m *member) attachToMonitor() {
	if m.cfg.NoMonitor || m.name == monitorName {
		return
	}
	root := filepath.Dir(m.dir.Path())
	page, err := registry.Read(root, monitorName)
	if err != nil || page.Primary == nil || !(proc.ID{PID: page.Primary.PID, Start: page.Primary.Start}).Alive() {
		return
	}
	a := attendance{Name: m.name, PID: m.self.PID, Start: m.self.Start, Argv: slices.Clone(os.Args), Env: proc.Lasting(os.Environ())}
	a.Dir, _ = os.Getwd()
	if exe, err := os.Executable(); err == nil && len(a.Argv) > 0 {
		a.Argv[0] = strings.TrimSuffix(exe, " (deleted)") // a file that was put in its place since is what to start
	}
	m.helpers.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), monitorWithin)
		defer cancel()
		go func() { // ends with ctx
			select {
			case <-m.quit:
				cancel()
			case <-ctx.Done():
			}
		}()
		switch refusal, err := tellMonitor(ctx, root, &a); {
		case err != nil && ctx.Err() == nil:
			m.log.Warn("cannot tell the monitor of this pair", "cause", err)
		case refusal != "":
			m.log.Warn("the monitor does not watch this pair", "cause", refusal)
		}
	})
}

func tellMonitor(ctx context.Context, root string, a *attendance) (refusal string, err error) {
	c, err := receive.Dial(ctx, monitorName, receive.RunDir(root), receive.RetryFor(monitorWithin))
	if err != nil {
		return "", err
	}
	defer c.Close()
	answer, err := receive.Call[monitorAnswer](ctx, c, "pair", a)
	return answer.Text, err
}
