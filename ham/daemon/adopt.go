package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// A process pair becomes an entity by itself: it says so when it is founded, and those that run before HAM does are found in the
// registry. Its one condition restarts it when both its members are gone.

// attendance handles what a pair says of itself.
func (h *half) attendance(c *pair.Call, a talk.Attendance) (talk.Answer, error) {
	return h.takeIn(c, h.peer(c), a), nil
}

// takeIn makes a pair an entity, unless somebody has declared it already in his own way.
func (h *half) takeIn(c *pair.Call, by core.Peer, a talk.Attendance) talk.Answer {
	if err := checkPair(h.root, &a); err != nil {
		return talk.Refusal(err)
	}
	if e := h.entityOfPair(a.Name); e != nil && e.Name != a.Name {
		return talk.Answer{Handle: core.Handle{Path: core.Path{Entity: e.Name}, Generation: e.Generation}} // declared under another name
	}
	settings := &core.Settings{Pair: a.Name, Command: core.Command{Argv: a.Argv, Env: a.Env, Bare: true, Dir: a.Dir}}
	if e := h.rec.Entity(a.Name); e == nil {
		if no := h.answer(c, core.Request{ID: 1, By: by, Declare: &core.Declare{Entity: pairEntity(a.Name, settings)}}); no.Err() != nil {
			return no
		}
	} else if e.Settings.Pair != a.Name {
		return talk.Refusal(fmt.Errorf("entity %q is there and is not the pair: %w", a.Name, core.ErrExists))
	} else if e.Alive() || e.Process.Phase == core.Starting {
		return talk.Answer{Handle: core.Handle{Path: core.Path{Entity: a.Name}, Generation: e.Generation}} // the registry tells the rest
	} else if len(e.Settings.Command.Argv) > 0 {
		settings = nil // leave what it has
	}
	return h.answer(c, core.Request{ID: 1, By: by, Attach: &core.Attach{Entity: a.Name, PID: a.PID, Start: a.Start, Settings: settings}})
}

// entityOfPair returns the entity that is a pair, or nil.
func (h *half) entityOfPair(name string) *core.Entity {
	if e := h.rec.Entity(name); e != nil && e.Settings.Pair == name {
		return e
	}
	for e := range h.rec.Entities() {
		if e.Settings.Pair == name {
			return e
		}
	}
	return nil
}

// pairEntity is what a pair is declared as if nobody has said otherwise.
func pairEntity(name string, s *core.Settings) *core.EntitySpec {
	restart := core.ActionSpec{Name: "restart", Flags: core.RearmAction | core.KeepOnFail, Restart: &core.Restart{}}
	death := core.ConditionSpec{Name: "death", On: core.OnDeath, Flags: core.RearmCondition | core.Independent, Actions: []core.ActionSpec{restart}}
	return &core.EntitySpec{Name: name, Flags: core.KeepOnDeath, Settings: s, Conditions: []core.ConditionSpec{death}}
}

// checkPair refuses who is not the primary of the pair that he says he is.
func checkPair(root string, a *talk.Attendance) error {
	page, err := registry.Read(root, a.Name)
	if err != nil {
		return fmt.Errorf("cannot attach pair %q: %w: %w", a.Name, err, core.ErrNotFound)
	}
	if p := page.Primary; a.Name == talk.Pair || p == nil || p.PID != a.PID || p.Start != a.Start {
		return fmt.Errorf("cannot attach pair %q: process %d is not its primary: %w", a.Name, a.PID, core.ErrNotPermitted)
	}
	return nil
}

// adoptRunning has all pairs taken in that run already.
func (h *half) adoptRunning() {
	pages, errs := registry.List(h.root)
	for _, err := range errs {
		if !errors.Is(err, fs.ErrNotExist) {
			h.log.Warn("cannot look for pairs", "cause", err)
		}
	}
	me := core.Peer{PID: os.Getpid(), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Admin: true}
	for _, page := range pages {
		if page.Name == talk.Pair || page.Primary == nil || page.Stopped {
			continue
		}
		a, err := attendanceOf(&page)
		if err != nil {
			continue // it is gone by now: its entity, if there is one, is told of that
		}
		h.calls.Post(func(c *pair.Call) {
			if h.machine == nil {
				return
			}
			if no := h.takeIn(c, me, a); no.Err() != nil {
				h.log.Warn("a pair that runs is not watched", "pair", a.Name, "cause", no.Err())
			}
		})
	}
}

// attendanceOf finds out how the primary of a pair was started.
func attendanceOf(page *registry.Page) (talk.Attendance, error) {
	p := page.Primary
	a := talk.Attendance{Name: page.Name, PID: p.PID, Start: p.Start}
	id := proc.ID{PID: p.PID, Start: p.Start}
	dir := "/proc/" + strconv.Itoa(p.PID)
	argv, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return a, err
	}
	env, err := os.ReadFile(dir + "/environ")
	if err != nil {
		return a, err
	}
	if a.Dir, err = os.Readlink(dir + "/cwd"); err != nil {
		return a, err
	}
	exe, err := os.Readlink(dir + "/exe")
	if err != nil {
		return a, err
	}
	if !id.Alive() {
		return a, fmt.Errorf("process %d: %w", p.PID, proc.ErrGone)
	}
	a.Argv, a.Env = cutZeros(argv), proc.Lasting(cutZeros(env))
	if len(a.Argv) == 0 {
		a.Argv = []string{exe}
	}
	a.Argv[0] = exe
	return a, nil
}

// cutZeros returns the strings that each end with a zero byte.
func cutZeros(b []byte) (all []string) {
	for s := range bytes.SplitSeq(bytes.TrimSuffix(b, []byte{0}), []byte{0}) {
		all = append(all, string(s))
	}
	return all
}
