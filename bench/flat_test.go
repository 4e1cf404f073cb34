package main

import (
	"io"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	worlds "github.com/1fb4ed1c/tandem/bench/internal/world"
)

func newWorld(o *options) (*world, error) {
	w, err := worlds.New(o)
	if err != nil {
		return nil, err
	}
	return around(w), nil
}

func (w *world) close(err error) error { return w.Close(err) }

func newReport(verb string, o *options, plan any) *report {
	return &report{figures.NewReport(verb, o, plan)}
}

func (r *report) print(w io.Writer, asJSON bool) error { return r.Print(w, asJSON) }
