package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands"
)

// Config says how HAM is kept.
type Config struct {
	RunDir   string            // run directory; "": as package pair
	Door     string            // directory of the sockets for other users, made if it is not there; "": none
	Entities []core.EntitySpec // declared exactly, whenever HAM is founded
	// Once is the entity that HAM is kept for: when it has ended for good HAM is stopped, and its status is the keeper's. Signals are
	// passed on to it. "": HAM is kept until it is stopped.
	Once string
	// Reload is called at SIGHUP, unless there is Once, for entities in place of Entities. nil: SIGHUP does nothing.
	Reload  func(ctx context.Context) ([]core.EntitySpec, error)
	Quiet   bool         // of HAM's own life only warnings are logged
	Profile string       // see HalfConfig
	Logger  *slog.Logger // nil: slog.Default()
}

// collectAfter makes a half collect its garbage when that is so many percent of what it holds: it holds much, and allocates little.
const collectAfter = 25

// halfName is argv[0] of a half of HAM; its argument is a HalfConfig in JSON. It is not in the environment, for what HAM starts inherits
// that.
const halfName = "tandem-ham"

// Main must be the first call in main of a program that keeps HAM. In a process that is a half of HAM, or on its way to become
// another program, it does its work and does not return. In any other process it does nothing.
func Main() {
	hands.Exec()
	if len(os.Args) != 2 || os.Args[0] != halfName {
		return
	}
	var c HalfConfig
	err := json.Unmarshal([]byte(os.Args[1]), &c)
	if err == nil {
		// To stop HAM is for the explicit verb: a signal that was meant for its terminal, or its keeper, is not. They are caught and not
		// ignored, for what is ignored is ignored by what HAM starts, too.
		signal.Notify(make(chan os.Signal, 1), unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT)
		debug.SetGCPercent(collectAfter)
		err = profiled(c.Profile, func() error { return c.Run(context.Background()) })
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pairmon: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}
