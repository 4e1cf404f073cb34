package hands_test

import (
	"fmt"
	"log/slog"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands"
)

func Example() {
	events := make(chan core.Event, 10)
	h, err := hands.New(slog.Default(), func(e core.Event) { events <- e })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	h.Do(core.Spawn{ID: 1, Entity: "greeter", Command: core.Command{Argv: []string{"sh", "-c", "exit 3"}}, As: core.Owner{Admin: true}})
	for e := range events {
		switch {
		case e.Spawned != nil:
			fmt.Println("started", e.Spawned.Err == "")
		case e.Exited != nil:
			fmt.Println("ended with status", e.Exited.Exit.Code)
			return
		}
	}
	// Output:
	// started true
	// ended with status 3
}
