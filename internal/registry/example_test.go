package registry_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// The first process that takes the lock becomes the primary and says so; a second one is refused.
func Example() {
	tmp, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(tmp)
	root := filepath.Join(tmp, "run")

	d, err := registry.Open(root, "bank")
	if err != nil {
		panic(err)
	}
	defer d.Close()
	lock, err := d.Lock()
	if err != nil {
		panic(err)
	}
	defer unix.Close(lock)
	if err := d.Publish(registry.Page{Epoch: 1, Primary: &registry.Member{PID: 4711}}); err != nil {
		panic(err)
	}

	_, err = d.Lock()
	fmt.Println("second lock:", errors.Is(err, registry.ErrHeld))
	pages, _ := registry.List(root)
	for _, p := range pages {
		fmt.Printf("%s: epoch %d, primary %d\n", p.Name, p.Epoch, p.Primary.PID)
	}
	// Output:
	// second lock: true
	// bank: epoch 1, primary 4711
}
