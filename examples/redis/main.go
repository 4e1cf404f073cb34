// Command redis is a server for the Redis protocol as a process pair: redis-cli and redis-benchmark run against it
// unchanged, and do not notice the death of its primary.
//
//	go run ./examples/redis --addr 127.0.0.1:7000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/1fb4ed1c/tandem/examples/redis/command"
	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/tracked"
)

// maxValue bounds a string, and maxRequest a request, in bytes: both have to fit a record of the log, beside what else
// they change.
const (
	logSize    = 16 << 20
	maxRequest = logSize/4 - 64<<10
	maxValue   = 1 << 20
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "redis:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("redis", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:6379", "where clients find the server; port 0 is the kernel's choice")
	name := flags.String("name", "redis", "name of the pair")
	mode := flags.String("mode", pair.PrimaryComputes.String(), "which member computes: primary-computes, backup-computes-lazy or backup-computes-eager")
	dir := flags.String("dir", "", "run directory (default: $TANDEM_DIR, or a directory of your own)")
	alone := flags.Bool("alone", false, "start no backup: what protection costs shows beside it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q: there are only flags, see --help", flags.Args())
	}
	m, err := pair.ParseMode(*mode)
	if err != nil {
		return err
	}
	cfg := pair.Config{Mode: m, Dir: *dir, NoSpawn: *alone, LogSize: logSize}
	return serve(cfg, *name, *addr).Run(ctx)
}

// serve declares the service.
func serve(cfg pair.Config, name, addr string) *pair.Service {
	svc := cfg.New(name)
	srv := command.Open(stateOf(svc), maxValue)
	cur := &call{armed: pair.Counter(svc, "sweep/armed")}
	cur.sweeps = pair.NewTimer(svc, "sweep", func(c *pair.Call, _ struct{}) error {
		srv.Sweep(cur.of(c))
		return nil
	})
	pair.Listen(svc, addr, pair.Protocol{
		Cut: func(b []byte) (int, error) { return resp.Cut(b, maxRequest) },
		Handle: func(c *pair.Call, request, dst []byte) ([]byte, error) {
			return srv.Handle(cur.of(c), request, dst), nil
		},
		Fail: fail,
		Closed: func(c *pair.Call) error {
			srv.Closed(cur.of(c))
			return nil
		},
		MaxRequest: maxRequest,
	})
	return svc
}

// stateOf declares the tracked state.
func stateOf(svc *pair.Service) command.State {
	return command.State{
		State: keyspace.State{
			Keys:     pair.Map[string, keyspace.Entry](svc, "keys"),
			Elements: pair.Map[string, string](svc, "elements"),
			Spaces:   pair.Map[uint64, uint64](svc, "spaces"),
			IDs:      pair.Counter(svc, "ids"),
			Trash:    pair.Queue[uint64](svc, "trash"),
			Watches:  pair.Map[string, bool](svc, "watches"),
		},
		Sessions: pair.Map[uint64, command.Session](svc, "sessions"),
		Queued:   pair.Map[string, string](svc, "queued"),
		Started:  pair.Counter(svc, "started"),
		Alarm:    pair.Counter(svc, "alarm"),
	}
}

// fail tells a client of an error, in Redis's words where it has some.
func fail(dst []byte, err error) []byte { return resp.AppendError(dst, "ERR "+err.Error()) }

// call is a pair.Call that can ask for a sweep. One is enough: calls come one at a time.
type call struct {
	*pair.Call
	sweeps *pair.Timer[struct{}]
	armed  *tracked.Counter // the number of the timer that Wake has armed
}

func (c *call) of(now *pair.Call) *call {
	c.Call = now
	return c
}

// Wake implements command.Call.
func (c *call) Wake(d time.Duration) {
	c.sweeps.Cancel(c.Call, uint64(c.armed.Get()))
	n, err := c.sweeps.After(c.Call, d, struct{}{})
	if err != nil {
		panic(err) // an empty struct can be encoded
	}
	c.armed.Set(int64(n))
}

var _ command.Call = (*call)(nil)
