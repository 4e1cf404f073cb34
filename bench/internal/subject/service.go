package subject

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/pair"
)

// PayloadSize is how many bytes an ordinary request carries.
const PayloadSize = 64

// What the service can be asked for.
type (
	// Put stores a value.
	Put struct {
		Key   uint32 `msgpack:"k"`
		Value []byte `msgpack:"v"`
	}
	// Work computes, and stores what came of it.
	Work struct {
		Key   uint32 `msgpack:"k"`
		Spins uint64 `msgpack:"n"`
	}
	// Fill stores many values of one size.
	Fill struct {
		From, N uint32
		Size    int
	}
	// Harm is done to the process with that pid only.
	Harm struct {
		PID int
		MiB int // of Grow: how much memory the process is to have taken in all; of Exhaust: the limit beyond what it has, 0: none
	}
)

// Config says how a member of the service's pair is started. The zero value is an ordinary pair.
type Config struct {
	Mode          pair.Mode
	Alone         bool          // no backup is ever started
	TouchMiB      int           // memory that every member has
	HangAfter     time.Duration // 0: pair's default
	SnapshotEvery int           // 0: pair's default
	Listen        bool          // also on TCP, for clients that know nothing of pairs
}

func (c *Config) args(name string) []string {
	return []string{"--name", name, "--mode", c.Mode.String(), "--touch", fmt.Sprint(c.TouchMiB), "--hang-after", c.HangAfter.String(),
		"--snapshot-every", fmt.Sprint(c.SnapshotEvery), fmt.Sprintf("--alone=%t", c.Alone), fmt.Sprintf("--listen=%t", c.Listen)}
}

// ServiceProcess runs a member of the service's pair.
func ServiceProcess(profile *string) *cobra.Command {
	var name, mode string
	var cfg Config
	c := &cobra.Command{Use: "service", RunE: func(*cobra.Command, []string) (err error) {
		if err := touch(cfg.TouchMiB); err != nil {
			return err
		}
		if cfg.Mode, err = pair.ParseMode(mode); err != nil {
			return err
		}
		svc := newService(name, cfg)
		return world.Profiled(*profile, name, func() error { return svc.Run(context.Background()) })
	}}
	f := c.Flags()
	f.StringVar(&name, "name", "", "")
	f.StringVar(&mode, "mode", pair.PrimaryComputes.String(), "")
	f.BoolVar(&cfg.Alone, "alone", false, "")
	f.BoolVar(&cfg.Listen, "listen", false, "")
	f.IntVar(&cfg.TouchMiB, "touch", 0, "")
	f.IntVar(&cfg.SnapshotEvery, "snapshot-every", 0, "")
	f.DurationVar(&cfg.HangAfter, "hang-after", 0, "")
	return c
}

func newService(name string, cfg Config) *pair.Service {
	svc := pair.Config{Mode: cfg.Mode, NoSpawn: cfg.Alone, HangAfter: cfg.HangAfter, SnapshotEvery: cfg.SnapshotEvery}.New(name)
	table := pair.Map[uint32, []byte](svc, "table")
	pair.Handle(svc, "put", func(_ *pair.Call, p Put) (int, error) {
		table.Set(p.Key, p.Value)
		return len(p.Value), nil
	})
	pair.Handle(svc, "echo", func(_ *pair.Call, b []byte) ([]byte, error) { return b, nil })
	work := func(w Work) uint64 {
		var value [PayloadSize]byte
		n := Spin(w.Spins, uint64(w.Key))
		binary.LittleEndian.PutUint64(value[:], n)
		table.Set(w.Key, value[:])
		return n
	}
	pair.Handle(svc, "work", func(_ *pair.Call, w Work) (uint64, error) { return work(w), nil })
	pair.Handle(svc, "fill", func(_ *pair.Call, f Fill) (int, error) {
		for k := f.From; k < f.From+f.N; k++ {
			v := make([]byte, f.Size)
			v[0] = byte(k)
			table.Set(k, v)
		}
		return int(f.N) * f.Size, nil
	})
	harms(svc)
	if cfg.Listen {
		pair.Listen(svc, "127.0.0.1:0", protocol(work))
	}
	return svc
}

// Spin computes for n steps, each of which needs the one before. What comes of it depends on n and x only: a backup
// that computes gets the same.
func Spin(n, x uint64) uint64 {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// SpinsPer returns how many steps take about a time on this machine: by the fastest of several tries, since whatever disturbs
// makes a try slower.
func SpinsPer(d time.Duration) uint64 {
	const steps = 100_000
	fastest, x := time.Hour, uint64(1)
	for range 20 {
		began := time.Now()
		x = Spin(steps, x)
		fastest = min(fastest, time.Since(began))
	}
	runtime.KeepAlive(x) // or the loop is removed
	return uint64(float64(steps) * float64(d) / float64(max(fastest, 1)))
}
