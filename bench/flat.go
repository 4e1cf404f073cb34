package main

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	worlds "github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// What the verb ham needs of the packages below, under the names that it uses. A verb that has a package of its own needs none of this.

const startWithin = worlds.StartWithin

type (
	options = figures.Options
	report  struct{ *figures.Report }
	times   struct{ *figures.Times }
	killer  struct{ at []time.Time }
	world   struct {
		*worlds.World
		o    *options
		base string
		errs *os.File
		rng  *rand.Rand
	}
)

// measure runs a verb in a world of its own, and prints its report.
func measure(o *options, verb string, plan any, f func(ctx context.Context, w *world, r *report) error) error {
	return worlds.Verb(os.Stdout, o, verb, plan, func(ctx context.Context, w *worlds.World, r *figures.Report) error {
		return f(ctx, around(w), &report{r})
	})
}

func around(w *worlds.World) *world { return &world{w, w.Options, w.Base, w.Stderr, w.Rand} }

func (w *world) runDir() string { return w.RunDir() }

func (w *world) spawn(files []*os.File, kind string, args ...string) (*proc.Process, error) {
	return w.Spawn(files, kind, args...)
}

func (w *world) spawnAndHear(ctx context.Context, files []*os.File, kind string, args ...string) (*proc.Process, error) {
	return w.SpawnAndHear(ctx, files, kind, args...)
}

func (w *world) start(path string, argv []string, files []*os.File) (*os.Process, <-chan unix.WaitStatus, error) {
	return w.Start(path, argv, files)
}

func (w *world) awaitPage(ctx context.Context, name string, every, within time.Duration, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return w.AwaitPage(ctx, name, every, within, what, ok)
}

func (w *world) underKills(ctx context.Context, name string, every time.Duration, before func(), load func(context.Context) error) (*killer, error) {
	k, err := subject.UnderKills(ctx, w.World, name, every, before, load)
	if k == nil {
		return nil, err
	}
	return &killer{k.At}, err
}

func protected(p *registry.Page) bool                  { return subject.Protected(p) }
func member(m *registry.Member) (*proc.Process, error) { return subject.Member(m) }
func ready(fd int) error                               { return worlds.Ready(fd) }
func pause(ctx context.Context, d time.Duration)       { worlds.Pause(ctx, d) }

func (r *report) row(rows ...figures.Row)                          { r.Row(rows...) }
func (r *report) note(format string, args ...any)                  { r.Note(format, args...) }
func (r *report) info(name string, v float64)                      { r.Info(name, v) }
func (r *report) figure(name string, v float64, unit string)       { r.Figure(name, v, unit) }
func (r *report) atMost(name string, v, goal float64, unit string) { r.AtMost(name, v, goal, unit) }

func newTimes() *times                            { return &times{figures.NewTimes()} }
func (t *times) add(d time.Duration)              { t.Add(d) }
func (t *times) row(name string) figures.Row      { return t.Row(name) }
func (t *times) at(percent float64) time.Duration { return t.At(percent) }
