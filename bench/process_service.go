package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/pair"
)

// The service that is measured: a small table.

// put stores a value. fill stores many. panicAt panics in the process with that pid, and is an ordinary request elsewhere.
type (
	put struct {
		Key   uint32 `msgpack:"k"`
		Value []byte `msgpack:"v"`
	}
	fill struct {
		From, N uint32
		Size    int
	}
	panicAt struct {
		PID int
	}
)

// serviceProcess runs a member of the service's pair, or (--alone) the same service without a backup.
func serviceProcess(profile *string) *cobra.Command {
	var name, mode string
	var alone bool
	var mib int
	c := &cobra.Command{Use: "service", RunE: func(*cobra.Command, []string) error {
		if err := touch(mib); err != nil {
			return err
		}
		m, err := pair.ParseMode(mode)
		if err != nil {
			return err
		}
		svc := newService(name, pair.Config{Mode: m, NoSpawn: alone})
		return profiled(*profile, name, func() error { return svc.Run(context.Background()) })
	}}
	f := c.Flags()
	f.StringVar(&name, "name", "", "")
	f.StringVar(&mode, "mode", pair.PrimaryComputes.String(), "")
	f.BoolVar(&alone, "alone", false, "")
	f.IntVar(&mib, "touch", 0, "")
	return c
}

func newService(name string, cfg pair.Config) *pair.Service {
	svc := cfg.New(name)
	table := pair.Map[uint32, []byte](svc, "table")
	pair.Handle(svc, "put", func(_ *pair.Call, p put) (int, error) {
		table.Set(p.Key, p.Value)
		return len(p.Value), nil
	})
	pair.Handle(svc, "echo", func(_ *pair.Call, b []byte) ([]byte, error) { return b, nil })
	pair.Handle(svc, "fill", func(_ *pair.Call, f fill) (int, error) {
		for k := f.From; k < f.From+f.N; k++ {
			v := make([]byte, f.Size)
			v[0] = byte(k)
			table.Set(k, v)
		}
		return int(f.N) * f.Size, nil
	})
	pair.Handle(svc, "panic", func(_ *pair.Call, p panicAt) (int, error) {
		if p.PID == os.Getpid() {
			panic(fmt.Sprint("asked to panic: ", p.PID))
		}
		return os.Getpid(), nil
	})
	return svc
}
