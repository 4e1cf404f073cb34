package pair

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// Mode says which member computes the state that a request leads to (NonStop's Availability Guide for Application Design,
// 7-14). The handlers are the same in every mode.
type Mode uint8

const (
	// PrimaryComputes sends the backup the changes and the reply of every request. A takeover only finishes reading.
	PrimaryComputes Mode = iota
	// BackupLazy sends the request itself; the backup runs its handler at the takeover. The primary does least, and
	// the takeover takes as long as the handlers of the requests since the last snapshot.
	BackupLazy
	// BackupEager sends the request itself; the backup runs its handler as soon as it arrives. The backup works as
	// much as the primary does, and a takeover finds little left to do.
	BackupEager
)

// String returns the name of the mode as the status shows it.
func (m Mode) String() string {
	switch m {
	case PrimaryComputes:
		return "primary-computes"
	case BackupLazy:
		return "backup-computes-lazy"
	case BackupEager:
		return "backup-computes-eager"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// ParseMode is the reverse of Mode.String.
func ParseMode(s string) (Mode, error) {
	for m := PrimaryComputes; m <= BackupEager; m++ {
		if m.String() == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown mode %q: expected %v, %v or %v", s, PrimaryComputes, BackupLazy, BackupEager)
}

// Config holds what can be chosen about a pair. The zero value is complete: every field has a default.
type Config struct {
	// Dir is the run directory. Default: $TANDEM_DIR, else tandem under $XDG_RUNTIME_DIR, else /run/tandem for root,
	// else a private directory under the temporary one.
	Dir string
	// Mode says which member computes. Default: PrimaryComputes.
	Mode Mode
	// HangAfter is how long a member may show no progress before the other fences it: for a primary the longest that
	// a handler may take. At least 250 ms, for on a starved machine healthy processes are late by 100 ms. Default: 1 s.
	HangAfter time.Duration
	// LogSize is the size of the checkpoint log in bytes, a power of two of at least 64 KiB. It bounds how far a backup
	// may fall behind, and a quarter of it the changes of one request. Default: 8 MiB.
	LogSize int
	// SnapshotEvery bounds the replay of BackupLazy: after so many requests the primary sends the changes that stand
	// for all of them, and the backup forgets the requests. Default: 1000.
	SnapshotEvery int
	// NoSpawn says that a primary does not start backups by itself: somebody else starts the same command again.
	NoSpawn bool
	// OwnSignals says that SIGTERM, SIGINT and SIGHUP are the program's own business. Without it they stop the pair.
	OwnSignals bool
	// NoMonitor says that the pair does not attach itself to the monitor of its run directory (pairmon serve).
	NoMonitor bool
	// Logger gets the events of the pair's life. It is called from a goroutine of its own, so that a blocked log cannot
	// hang the pair; records that it is too slow for are counted and dropped. Default: slog.Default().
	Logger *slog.Logger
	// AtPoint, for tests, is called at every named step of a request's life (see Point). To be killed there is what
	// it is for.
	AtPoint func(Point)

	version int // of what members say to each other. Default: joinVersion; tests have neighbours
}

const (
	defaultHangAfter     = time.Second
	shortestHangAfter    = 250 * time.Millisecond
	defaultLogSize       = 8 << 20
	smallestLog          = 64 << 10
	defaultSnapshotEvery = 1000
)

// validate fills in the defaults and refuses what cannot work.
func (c Config) validate() (Config, error) {
	if c.Dir == "" {
		root, err := registry.Root()
		if err != nil {
			return c, err
		}
		c.Dir = root
	}
	if c.Mode > BackupEager {
		return c, fmt.Errorf("cannot use mode %d: expected %v, %v or %v", uint8(c.Mode), PrimaryComputes, BackupLazy, BackupEager)
	}
	if c.HangAfter == 0 {
		c.HangAfter = defaultHangAfter
	}
	if c.HangAfter < shortestHangAfter {
		return c, fmt.Errorf("cannot use HangAfter %v: expected at least %v", c.HangAfter, shortestHangAfter)
	}
	if c.LogSize == 0 {
		c.LogSize = defaultLogSize
	}
	if c.LogSize < smallestLog || c.LogSize&(c.LogSize-1) != 0 {
		return c, fmt.Errorf("cannot use LogSize %d: expected a power of two of at least %d", c.LogSize, smallestLog)
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = defaultSnapshotEvery
	}
	if c.SnapshotEvery < 0 {
		return c, fmt.Errorf("cannot use SnapshotEvery %d: expected a positive number of requests", c.SnapshotEvery)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.version == 0 {
		c.version = joinVersion
	}
	if runtime.GOOS != "linux" {
		return c, fmt.Errorf("cannot run a pair on %s: expected linux", runtime.GOOS)
	}
	return c, nil
}

// Point names a gap between two steps of a request's life (design §4). A process killed in any of them loses nothing and
// does nothing twice.
type Point uint8

// The points, in the order in which a request passes them.
const (
	PointRead     Point = iota + 1 // read from the inbox; nothing has been done
	PointHandled                   // the handler has run; nothing is visible outside
	PointAppended                  // the record is in the log: from here on the request has happened
	PointEffects                   // the external effects are done
	PointReplied                   // the reply is on its way
	PointForgot                    // nothing is left to do
)

// Points lists all of them, in order.
func Points() []Point {
	return []Point{PointRead, PointHandled, PointAppended, PointEffects, PointReplied, PointForgot}
}

// String returns the name of the point.
func (p Point) String() string {
	switch p {
	case PointRead:
		return "read"
	case PointHandled:
		return "handled"
	case PointAppended:
		return "appended"
	case PointEffects:
		return "effects"
	case PointReplied:
		return "replied"
	case PointForgot:
		return "forgot"
	}
	return fmt.Sprintf("point %d", uint8(p))
}
