package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

// Verb is Measure, and prints the report.
func Verb(out io.Writer, o *figures.Options, verb string, plan any, f func(ctx context.Context, w *World, r *figures.Report) error) error {
	r, err := Measure(o, verb, plan, f)
	if err != nil {
		return err
	}
	return r.Print(out, o.JSON)
}

// Measure runs f in a world of its own, until it is done or interrupted, and returns its report.
func Measure(o *figures.Options, verb string, plan any, f func(ctx context.Context, w *World, r *figures.Report) error) (*figures.Report, error) {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	w, err := New(o)
	if err != nil {
		return nil, err
	}
	r := figures.NewReport(verb, o, plan)
	began := figures.ReadProcessorTime()
	err = Profiled(o.Pprof, "bench", func() error { return f(ctx, w, r) })
	r.Stolen, r.Load = began.StolenSince(), figures.LoadAverage()
	if ctx.Err() != nil { // what the processes say then is no news
		return nil, errors.Join(fmt.Errorf("interrupted: %w", ctx.Err()), w.Close(nil))
	}
	if err := w.Close(err); err != nil {
		return nil, err
	}
	return r, nil
}

// Profiled runs f and leaves a processor profile of it in dir, if that is not "".
func Profiled(dir, name string, f func() error) error {
	if dir == "" {
		return f()
	}
	out, err := os.Create(dir + "/" + name + "-" + strconv.Itoa(os.Getpid()) + ".pprof")
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f()
}
