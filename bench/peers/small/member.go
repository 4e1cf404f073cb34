package main

import (
	"context"
	"fmt"
	"os"

	"github.com/1fb4ed1c/tandem/bench/peers/internal/ours"
	"github.com/1fb4ed1c/tandem/pair"
)

// member runs a member of a pair with everything at its default.
func member(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("cannot be a member of %q: expected NAME PID", args)
	}
	if err := endWith(args[1]); err != nil {
		return err
	}
	svc := pair.New(args[0])
	count := pair.Counter(svc, "count")
	table := pair.Map[uint32, []byte](svc, "table")
	pair.Handle(svc, ours.MethodAdd, func(_ *pair.Call, n int64) (ours.Added, error) {
		return ours.Added{Count: count.Add(n), PID: os.Getpid()}, nil
	})
	pair.Handle(svc, ours.MethodPut, func(_ *pair.Call, p ours.Put) (int, error) {
		table.Set(p.Key, p.Value)
		return len(p.Value), nil
	})
	return svc.Run(context.Background())
}
