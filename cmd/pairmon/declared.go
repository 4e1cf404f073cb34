package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/daemon"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// declaration notes what the file declared that was applied last: what it does not declare any more is to go, but not what
// programs have declared by themselves. It is kept beside HAM's sockets.
type declaration struct {
	File     string   `json:"file"`
	Entities []string `json:"entities"`
}

func notePath(root string) string { return filepath.Join(root, talk.Pair, "declared") }

// lockNote makes sure that one serve at a time takes away what an earlier file declared: another that is started by mistake ends before
// it does harm. The error is daemon.ErrKept.
func lockNote(root string) (unlock func(), err error) {
	d, err := registry.Open(root, talk.Pair)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	f, err := os.OpenFile(notePath(root)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = daemon.ErrKept
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// noted returns the declaration that was applied last; the zero value if none was.
func noted(root string) (d declaration, err error) {
	b, err := os.ReadFile(notePath(root))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		return d, fmt.Errorf("cannot tell what was declared before: %w", err)
	}
	return d, nil
}

// note is the reverse. A reader finds the old note or the new one, whole.
func (d declaration) note(root string) error {
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("cannot note what is declared: %w", err)
	}
	path := notePath(root)
	if err = os.WriteFile(path+".new", append(b, '\n'), 0o600); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("cannot note what is declared: %w", err)
	}
	return nil
}

// applied is what apply has done.
type applied struct{ declared, removed []string }

// apply makes HAM have what a file declares, and not what it declared before. It goes on after what is refused; the error joins all
// refusals.
func apply(ctx context.Context, c *ham.Client, root, file string, specs []ham.Entity) (a applied, err error) {
	var errs []error
	for i := range specs {
		if _, err := c.Declare(ctx, ham.Declare{Entity: &specs[i], Exact: true}); err != nil {
			errs = append(errs, err)
			continue
		}
		a.declared = append(a.declared, specs[i].Name)
	}
	a.removed, err = removeGone(ctx, c, root, file, specs)
	return a, errors.Join(append(errs, err)...)
}

// removeGone removes what the file declared before and does not now. What could not be removed stays in the note, for the next time.
func removeGone(ctx context.Context, c *ham.Client, root, file string, specs []ham.Entity) (removed []string, err error) {
	before, err := noted(root)
	if err != nil {
		return nil, err
	}
	now := declaration{File: file}
	for _, s := range specs {
		now.Entities = append(now.Entities, s.Name)
	}
	var errs []error
	for _, name := range before.Entities {
		if slices.Contains(now.Entities, name) {
			continue
		}
		switch err := remove(ctx, c, name); {
		case err == nil:
			removed = append(removed, name)
		case !errors.Is(err, ham.ErrNotFound):
			errs = append(errs, err)
			now.Entities = append(now.Entities, name)
		}
	}
	return removed, errors.Join(append(errs, now.note(root))...)
}

// remove removes an entity with its process; of the global one, which is always there, all conditions.
func remove(ctx context.Context, c *ham.Client, name string) error {
	if name == ham.Global {
		_, err := c.Declare(ctx, ham.Declare{Entity: &ham.Entity{Name: ham.Global}, Exact: true})
		return err
	}
	return c.Remove(ctx, ham.Remove{Path: ham.At(name), Stop: true})
}
