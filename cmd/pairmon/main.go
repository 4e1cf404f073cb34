// Command pairmon runs HAM, the monitor that keeps programs and process pairs running, shows and commands what it watches, upgrades the
// pairs of this host, and demonstrates what a pair is.
//
// Invariant: it asks nobody for what it shows of pairs (a pair that hangs is shown as it is), and it ends with status 0 only if what
// was asked for is true: a demo in which a request was lost or made twice fails, and so does a drill after which a pair is not
// protected. Only run ends with the status of its command.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/1fb4ed1c/tandem/ham/daemon"
)

func main() {
	daemon.Main() // of a half of HAM, or of what it starts, nothing else is run
	os.Exit(run(os.Args[1:]))
}

// Exit statuses.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell reports SIGINT
)

// exit is the end of a verb that has said already what there was to say.
type exit struct{ status int }

func (e exit) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// usageError is the end of a verb that was called wrongly.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	var said exit
	var wrong usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &said):
		return said.status
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "pairmon: %v\nTry: %s --help\n", err, cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "pairmon:", err)
	return exitFailed
}
