package pair_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

// long lets the tests that kill at random go on for so many times as long: go test ./pair -long 8.
var long = flag.Int("long", 1, "how many times as long the random tests go on")

func TestMain(m *testing.M) {
	pairtest.Main(m, pairtest.Programs{
		"ledger":  func(ctx context.Context) error { return ledger(configured()).Run(ctx) },
		"hand":    func(ctx context.Context) error { return hand(ctx, configured()) },
		"diary":   func(ctx context.Context) error { return diary(ctx, configured()) },
		"journal": func(ctx context.Context) error { return journal(configured()).Run(ctx) },
		"porter":  func(ctx context.Context) error { return porter(configured()).Run(ctx) },
		"web":     func(ctx context.Context) error { return web(configured()).Run(ctx) },
	})
}

// The programs are configured by their environment.
const (
	envMode     = "LEDGER_MODE"
	envHang     = "LEDGER_HANG"     // Config.HangAfter
	envLog      = "LEDGER_LOG"      // Config.LogSize
	envSnapshot = "LEDGER_SNAPSHOT" // Config.SnapshotEvery
	envAlone    = "LEDGER_ALONE"    // Config.NoSpawn
	envFiles    = "LEDGER_FILES"    // how many descriptors a member may have
	envPoint    = "LEDGER_POINT"    // where a primary kills itself, once it has got SIGUSR1
	envHits     = "LEDGER_HITS"     // the file that says at which of its passages there, counted from 1
	envAtOnce   = "LEDGER_AT_ONCE"  // the first primary kills itself at this passage, counted from its start
	envCert     = "WEB_CERT"        // the file with the certificate and its key
)

func configured() pair.Config {
	mode, _ := pair.ParseMode(os.Getenv(envMode)) // none: PrimaryComputes
	hang, _ := time.ParseDuration(os.Getenv(envHang))
	c := pair.Config{Mode: mode, HangAfter: hang, LogSize: number(envLog, 1<<20), SnapshotEvery: number(envSnapshot, 0),
		NoSpawn: os.Getenv(envAlone) != "", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if n := number(envFiles, 0); n > 0 {
		lim := unix.Rlimit{Cur: uint64(n), Max: uint64(n)}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			panic(err)
		}
	}
	if point := number(envPoint, 0); point > 0 {
		c.AtPoint = killAt(pair.Point(point))
	}
	return c
}

func number(env string, otherwise int) int {
	n, err := strconv.Atoi(os.Getenv(env))
	if err != nil {
		return otherwise
	}
	return n
}

// firstMember is true in a process that was not started as a backup by another.
var firstMember = os.Getenv("TANDEM_JOIN") == ""

// killAt kills this process at a passage of a point, counted since it was told to by SIGUSR1. It is called by the loop
// that serves, so it dies with everything that the loop had begun.
func killAt(point pair.Point) func(pair.Point) {
	var left atomic.Int64 // passages, the last one deadly; 0: none is
	if firstMember {
		left.Store(int64(number(envAtOnce, 0)))
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGUSR1)
	go func() {
		for range told {
			b, _ := os.ReadFile(os.Getenv(envHits))
			n, _ := strconv.Atoi(string(b))
			left.Store(int64(n))
		}
	}()
	return func(p pair.Point) {
		if p != point || left.Load() == 0 || left.Add(-1) > 0 {
			return
		}
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // not one instruction more of the loop, even if the signal takes its time
	}
}

// heavy lets only so many pairs run at a time: more would only be late together.
var heavy = make(chan struct{}, 4)

// start starts a pair when its turn has come.
func start(t *testing.T, program string, env ...string) *pairtest.Pair {
	t.Helper()
	takeTurn(t)
	return pairtest.Start(t, program, pairtest.Env(env...))
}

func takeTurn(t *testing.T) {
	t.Helper()
	heavy <- struct{}{}
	t.Cleanup(func() { <-heavy })
}

func set(env string, v any) string { return fmt.Sprintf("%s=%v", env, v) }

var modes = []pair.Mode{pair.PrimaryComputes, pair.BackupLazy, pair.BackupEager}

// eachMode runs a test in every mode, side by side; with -short in one.
func eachMode(t *testing.T, f func(t *testing.T, mode pair.Mode)) {
	t.Parallel()
	list := modes
	if testing.Short() { // one of them: the same for a test every time, another for other tests
		i := len(t.Name()) % len(modes)
		list = modes[i : i+1]
	}
	for _, mode := range list {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			f(t, mode)
		})
	}
}
