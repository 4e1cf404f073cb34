package pair

import (
	"context"
	"errors"
	"fmt"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// Upgrade replaces both members of the pair called name by processes of another program, the file binary, while the pair
// serves; it returns when the pair is protected again and both members are new (NonStop: __ns_start_backup with another
// program file, then a switch). Requests and connections go on. dir is the run directory; empty: the default. told, if it
// is not nil, hears of every step.
//
// The primary starts binary, an absolute path, with its own arguments and environment. When this process has joined and
// tracks all that the state consists of, it takes the place of the backup; when it holds the whole state, it becomes the
// primary, and replaces the other half in the same way. In both replacements the pair is unprotected from the joining
// until the new process holds everything, as it is after the loss of a backup, and its status says so.
//
// ErrProgram: the new program could not take over; the error holds its own words. The primary goes on as it was, and if
// its backup had made room already, it starts another one of its own program. The other errors are ErrNotRunning,
// ErrNotSynchronised (an unprotected pair is not upgraded), ErrUpgrading, ErrStopping, and ctx's: before the new program
// is the primary, the end of ctx calls the upgrade off; after that the pair completes it by itself. To upgrade again, to the same
// program, is how to complete what could not be completed.
func Upgrade(ctx context.Context, dir, name, binary string, told func(step string)) error {
	if told == nil {
		told = func(string) {}
	}
	if err := upgradePair(ctx, dir, name, binary, told); err != nil {
		return fmt.Errorf("cannot upgrade %s to %s: %w", name, binary, err)
	}
	return nil
}

func upgradePair(ctx context.Context, dir, name, binary string, told func(string)) error {
	build := "" // of the new program, once a primary knows it
	err := command(ctx, dir, name, commandUpgrade, binary, func(f *wire.Frame) {
		if len(f.Method) > 0 {
			build = string(f.Method)
		}
		told(string(f.Body))
	})
	died := errors.Is(err, errRetry)
	switch {
	case died && build == "":
		return fmt.Errorf("%w before the new program had joined; the pair goes on with the program it has", err)
	case died:
		told("the primary went away: the backup takes over")
	case err != nil && build != "" && errors.Is(err, ErrNotSynchronised):
		told("the roles could not be changed: " + err.Error())
	case err != nil:
		return err
	default:
		told("the new program is the primary; the other half is replaced")
	}
	for { // the same may be asked of any primary, as often as needed
		err := command(ctx, dir, name, commandRenew, build, func(f *wire.Frame) { told(string(f.Body)) })
		if !errors.Is(err, errRetry) {
			return err
		}
		told("the primary went away: the backup takes over")
		if err := sleep(ctx, joinPause); err != nil {
			return err
		}
	}
}
