package daemon

import (
	"context"
	"errors"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/receive"
)

// ask sends requests to HAM, one after the other. It goes on after one that is refused; the error joins those of all.
func ask(ctx context.Context, root string, requests ...core.Request) error {
	c, err := receive.Dial(ctx, talk.Pair, receive.RunDir(root))
	if err != nil {
		return err
	}
	defer c.Close()
	var errs []error
	for _, r := range requests {
		if _, err := talk.Ask(ctx, c, r); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
