package tree

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// node is a file or a directory.
type node struct {
	name string
	mod  time.Time
	list func() ([]listed, error) // of a directory: what is in it; nil: a file
	text []byte                   // of a file
}

// listed is a name in a directory.
type listed struct {
	name string
	dir  bool
}

const (
	infoFile = ".info"
	asJSON   = ".json"
)

// rootFiles are the files beside the entities.
var rootFiles = []string{infoFile, "history", "running"}

// find returns what has a path. The parts of a path are an entity, a condition and an action, or at their end a file's name.
func (t *FS) find(name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	if name == "." {
		return t.root()
	}
	first, rest, deeper := strings.Cut(name, "/")
	if base, json := strings.CutSuffix(first, asJSON); !deeper && slices.Contains(rootFiles, base) {
		return t.rootFile(base, json)
	}
	entity, ok := fromFile(first, takenInRoot)
	if !ok {
		return nil, fs.ErrNotExist
	}
	e, beat, err := t.source.Entity(t.ctx, entity)
	if err != nil {
		return nil, err
	}
	if !deeper {
		return dirOf(changedAt(e), entityFiles(e)), nil
	}
	return findIn(e, beat, rest)
}

// findIn returns what has a path below an entity.
func findIn(e *core.Entity, beat time.Time, name string) (*node, error) {
	first, rest, deeper := strings.Cut(name, "/")
	if base, json := strings.CutSuffix(first, asJSON); !deeper && base == infoFile {
		return fileOf(changedAt(e), entityPage(e, beat), json), nil
	}
	i := slices.IndexFunc(e.Conditions, func(c core.Condition) bool { return c.Spec.Name == first })
	if i < 0 {
		return nil, fs.ErrNotExist
	}
	c := &e.Conditions[i]
	if !deeper {
		return dirOf(firedAt(e, c), conditionFiles(c)), nil
	}
	base, json := strings.CutSuffix(rest, asJSON)
	if base == infoFile {
		return fileOf(firedAt(e, c), conditionPage(e, c), json), nil
	}
	action, ok := fromFile(base, takenByJSON)
	k := slices.IndexFunc(c.Actions, func(a core.Action) bool { return a.Spec.Name == action })
	if !ok || k < 0 {
		return nil, fs.ErrNotExist
	}
	return fileOf(firedAt(e, c), actionPage(e, c, &c.Actions[k]), json), nil
}

// page is what is in a file.
type page interface {
	text() []byte
	json() []byte
}

func fileOf(mod time.Time, p page, json bool) *node {
	if json {
		return &node{mod: mod, text: p.json()}
	}
	return &node{mod: mod, text: p.text()}
}

func dirOf(mod time.Time, names []listed) *node {
	return &node{mod: mod, list: func() ([]listed, error) { return names, nil }}
}

func (t *FS) root() (*node, error) {
	r, err := t.source.Root(t.ctx)
	if err != nil {
		return nil, err
	}
	return &node{mod: wall(r.Created), list: t.rootList}, nil
}

func (t *FS) rootList() ([]listed, error) {
	entities, err := t.source.Entities(t.ctx)
	if err != nil {
		return nil, err
	}
	var names []listed
	for _, f := range rootFiles {
		names = append(names, listed{name: f}, listed{name: f + asJSON})
	}
	for _, e := range entities {
		names = append(names, listed{name: toFile(e, takenInRoot), dir: true})
	}
	return names, nil
}

func entityFiles(e *core.Entity) []listed {
	names := []listed{{name: infoFile}, {name: infoFile + asJSON}}
	for i := range e.Conditions {
		names = append(names, listed{name: e.Conditions[i].Spec.Name, dir: true})
	}
	return names
}

func conditionFiles(c *core.Condition) []listed {
	names := []listed{{name: infoFile}, {name: infoFile + asJSON}}
	for i := range c.Actions {
		file := toFile(c.Actions[i].Spec.Name, takenByJSON)
		names = append(names, listed{name: file}, listed{name: file + asJSON})
	}
	return names
}

// rootFile returns one of the files beside the entities.
func (t *FS) rootFile(name string, json bool) (*node, error) {
	r, err := t.source.Root(t.ctx)
	if err != nil {
		return nil, err
	}
	mod := wall(r.Created)
	switch name {
	case "history":
		h, err := t.source.History(t.ctx)
		if err != nil {
			return nil, err
		}
		if len(h) > 0 {
			mod = wall(h[len(h)-1].Wall)
		}
		return fileOf(mod, chronicle(h), json), nil
	case "running":
		jobs, err := t.source.Running(t.ctx)
		if err != nil {
			return nil, err
		}
		return fileOf(mod, queue(jobs), json), nil
	}
	p, err := t.rootPage(&r)
	if err != nil {
		return nil, err
	}
	return fileOf(mod, p, json), nil
}

// rootPage is about HAM itself.
func (t *FS) rootPage(r *core.Root) (page, error) {
	names, err := t.source.Entities(t.ctx)
	if err != nil {
		return nil, err
	}
	jobs, err := t.source.Running(t.ctx)
	if err != nil {
		return nil, err
	}
	entities, conditions, actions := 0, 0, 0
	for _, name := range names {
		e, _, err := t.source.Entity(t.ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has just gone
			continue
		case err != nil:
			return nil, err
		case e.Kind != core.GlobalEntity: // it is always there, and on QNX not counted
			entities++
		}
		conditions += len(e.Conditions)
		for i := range e.Conditions {
			actions += len(e.Conditions[i].Actions)
		}
	}
	return sheet{
		{"Ham Pid", r.PID}, {"Guardian Pid", r.GuardianPID}, {"Ham Failures", r.Failures}, {"Guardian Failures", r.GuardianFailures},
		{"Num Entities", entities}, {"Num Conditions", conditions}, {"Num Actions", actions},
		{"Num Running", len(jobs)}, {"Num Deaths", r.Died}, {"Num Restarts", r.Restarted}, {"Num Fired", r.Fired}, {"Num Failed", r.Failed},
		{"Verbosity", r.Verbosity}, {"Stopping", r.Stopping}, {"Created", wall(r.Created)},
	}, nil
}

// changedAt is when something last happened to an entity.
func changedAt(e *core.Entity) time.Time {
	if n := len(e.History); n > 0 {
		return wall(e.History[n-1].Wall)
	}
	return wall(e.Created)
}

// firedAt is when a condition last fired; if never when its entity came to be.
func firedAt(e *core.Entity, c *core.Condition) time.Time {
	if c.LastFired != 0 {
		return wall(c.LastFired)
	}
	return wall(e.Created)
}
