package pairtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// Within bounds every wait of this package. Nothing takes so long on a machine that is not starved.
const Within = 20 * time.Second

// pollEvery is the time between two looks at something that cannot be waited for.
const pollEvery = time.Millisecond

// Pair is a pair under test, in a run directory of its own.
type Pair struct {
	t       testing.TB
	name    string
	dir     string
	env     []string
	log     logBook
	groups  []*process
	stopped bool
}

// Option changes how a pair is started.
type Option func(*Pair)

// Name sets the name of the pair. Default: that of its program.
func Name(name string) Option { return func(p *Pair) { p.name = name } }

// Env adds variables, KEY=value, to the environment of the members.
func Env(vars ...string) Option { return func(p *Pair) { p.env = append(p.env, vars...) } }

// Start starts a program as a pair and returns when it is protected. At the end of the test the pair is stopped, unless
// the test has done so, and must be gone without a trace.
func Start(t testing.TB, program string, options ...Option) *Pair {
	t.Helper()
	p := StartAlone(t, program, options...)
	p.WaitProtected()
	return p
}

// StartAlone starts a program and returns when there is a primary, with or without a backup.
func StartAlone(t testing.TB, program string, options ...Option) *Pair {
	t.Helper()
	p := New(t, program, options...)
	p.Launch()
	p.Primary()
	return p
}

// New prepares a pair and starts nothing yet: see Launch.
func New(t testing.TB, program string, options ...Option) *Pair {
	t.Helper()
	p := &Pair{t: t, name: program, dir: filepath.Join(t.TempDir(), "run")}
	p.env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TANDEM_") })
	p.env = append(p.env, "TANDEM_DIR="+p.dir, envProgram+"="+program)
	for _, set := range options {
		set(p)
	}
	t.Cleanup(p.end)
	return p
}

// Launch starts the program once more by hand, as somebody does who types its command in another terminal, or as a
// supervisor does. What becomes of the process is up to the pair.
func (p *Pair) Launch(vars ...string) *Process {
	p.t.Helper()
	c, err := launch(append(slices.Clone(p.env), vars...), &p.log)
	if err != nil {
		p.t.Fatalf("cannot start %s: %v", p.name, err)
	}
	p.groups = append(p.groups, c)
	return &Process{p: p, c: c}
}

// Name returns the name of the pair.
func (p *Pair) Name() string { return p.name }

// Dir returns the run directory.
func (p *Pair) Dir() string { return p.dir }

// Log returns what the members have printed so far.
func (p *Pair) Log() string { return p.log.String() }

// Dial opens the pair. The open is closed at the end of the test.
func (p *Pair) Dial(options ...receive.Option) *receive.Conn {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	c, err := receive.Dial(ctx, p.name, append([]receive.Option{receive.RunDir(p.dir)}, options...)...)
	if err != nil {
		p.t.Fatalf("cannot open %s: %v", p.name, err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Switch changes the roles of the members as planned, and returns when the page says so too. See pair.Switch for its
// errors. It may be called from any goroutine.
func (p *Pair) Switch() error {
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	before := p.Status()
	if err := pair.Switch(ctx, p.dir, p.name); err != nil {
		return err
	}
	for p.Status().Epoch <= before.Epoch && ctx.Err() == nil {
		time.Sleep(pollEvery)
	}
	return ctx.Err()
}

// Stop stops the pair. See Gone for what must be true then.
func (p *Pair) Stop() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	if err := pair.Stop(ctx, p.dir, p.name); err != nil {
		p.t.Fatalf("broken promise: a pair can be stopped: %v", err)
	}
	p.Gone()
}

// Gone requires that the pair has been stopped, by whatever means: that every process of it ends, and that they leave only
// the page in the directory of their name.
func (p *Pair) Gone() {
	p.t.Helper()
	p.stopped = true
	p.wait("every process of the pair to end after it was stopped", func() (bool, string) {
		left := p.members()
		return len(left) == 0, fmt.Sprint("left: ", left)
	})
	p.checkFiles()
}

// wait returns when done reports true, and ends the test with what was seen last if that takes too long.
func (p *Pair) wait(what string, done func() (ok bool, seen string)) {
	p.t.Helper()
	for end := time.Now().Add(Within); ; time.Sleep(pollEvery) {
		ok, seen := done()
		if ok {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: waited %v for %s; last seen: %s", p.name, Within, what, seen)
		}
	}
}

// end is the end of the test: what still runs is stopped as a user would, then everything must be gone.
func (p *Pair) end() {
	p.t.Helper()
	defer p.killAll()
	for _, c := range p.groups {
		c.signal(unix.SIGCONT)
	}
	if !p.stopped && !p.t.Failed() && p.Status().Primary.Alive() {
		p.Stop()
	}
}

func (p *Pair) killAll() {
	p.t.Helper()
	for _, c := range p.groups {
		c.signal(unix.SIGKILL)
	}
	for _, c := range p.groups {
		select {
		case <-c.done:
		case <-time.After(Within):
			p.t.Errorf("%s: process group %d did not end within %v of SIGKILL", p.name, c.pid, Within)
		}
	}
	if p.t.Failed() {
		p.t.Logf("what the members of %s printed:\n%s", p.name, p.log.tail())
	}
}

// members lists the processes of the test's groups that are not gone.
func (p *Pair) members() (left []int) {
	for _, c := range p.groups {
		select {
		case <-c.done:
		default:
			left = append(left, c.pid)
		}
	}
	return left
}

// checkFiles requires that a pair that was stopped left nothing in its directory but the page.
func (p *Pair) checkFiles() {
	p.t.Helper()
	var found []string
	_ = filepath.WalkDir(p.dir, func(path string, _ os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(p.dir, path); err == nil && rel != "." {
			found = append(found, rel)
		}
		return nil
	})
	if want := []string{p.name, filepath.Join(p.name, "page")}; !slices.Equal(found, want) {
		p.t.Errorf("broken promise: a pair that was stopped leaves its page and nothing else; found %q in %s, expected %q", found, p.dir, want)
	}
}
