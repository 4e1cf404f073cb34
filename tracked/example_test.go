package tracked_test

import (
	"fmt"

	"github.com/1fb4ed1c/tandem/tracked"
)

// One member serves and ships its changes, the other applies them.
func Example() {
	primary, backup := tracked.NewStore(), tracked.NewStore()
	accounts := tracked.NewMap[string, int64](primary, "accounts")
	copies := tracked.NewMap[string, int64](backup, "accounts")

	primary.Begin()
	accounts.Set("ada", 100)
	accounts.Set("bob", 50)
	if err := backup.Apply(primary.Changes()); err != nil {
		fmt.Println(err)
	}
	primary.Commit()

	primary.Begin()
	accounts.Set("ada", -1)
	primary.Rollback() // an error in the handler

	for name, balance := range copies.All() {
		fmt.Println(name, balance)
	}
	fmt.Println(primary.Digest() == backup.Digest())
	// Output:
	// ada 100
	// bob 50
	// true
}

// A new backup is filled in pieces, while calls go on.
func ExampleStore_NextChunk() {
	primary, backup := tracked.NewStore(), tracked.NewStore()
	jobs := tracked.NewQueue[string](primary, "jobs")
	tracked.NewQueue[string](backup, "jobs")
	for _, job := range []string{"wash", "dry", "fold"} {
		jobs.Push(job)
	}

	backup.Reset()
	primary.StartWalk()
	for done := false; !done; {
		var chunk []byte
		chunk, done, _ = primary.NextChunk(nil, 8)
		fmt.Printf("chunk of %d bytes\n", len(chunk))
		if err := backup.ApplyChunk(chunk); err != nil {
			fmt.Println(err)
		}

		primary.Begin() // a request in between
		jobs.Pop()
		if err := backup.Apply(primary.Changes()); err != nil {
			fmt.Println(err)
		}
		primary.Commit()
	}
	fmt.Println(jobs.Len(), primary.Digest() == backup.Digest())
	// Output:
	// chunk of 6 bytes
	// chunk of 5 bytes
	// chunk of 6 bytes
	// 0 true
}

func ExampleStore_AppendDelta() {
	s := tracked.NewStore()
	hits := tracked.NewCounter(s, "hits")
	s.TrackDirty(true)
	for range 1000 {
		s.Begin()
		hits.Add(1)
		s.Commit()
	}
	fmt.Println("changes to send:", s.DirtyCount())
	delta, err := s.AppendDelta(nil)
	fmt.Println("bytes:", len(delta), err)
	// Output:
	// changes to send: 1
	// bytes: 4 <nil>
}
