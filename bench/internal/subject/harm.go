package subject

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
)

// The methods that do harm, see Harm.
const (
	Panic    = "panic"    // in the handler
	Deadlock = "deadlock" // the handler waits for ever
	Exhaust  = "exhaust"  // the handler takes memory until there is no more
	Grow     = "grow"     // the process gets larger, and lives
)

func harms(svc *pair.Service) {
	harm := func(method string, f func(h Harm) error) {
		pair.Handle(svc, method, func(_ *pair.Call, h Harm) (struct{}, error) {
			if h.PID != os.Getpid() {
				return struct{}{}, nil
			}
			return struct{}{}, f(h)
		})
	}
	harm(Panic, func(h Harm) error { panic(fmt.Sprint("asked to panic: ", h.PID)) })
	harm(Deadlock, func(Harm) error { select {} })
	harm(Exhaust, func(h Harm) error { return exhaust(h.MiB) })
	grown := 0
	harm(Grow, func(h Harm) error {
		more := min(h.MiB-grown, GrowStep)
		if more <= 0 {
			return nil
		}
		grown += more
		return touch(more)
	})
}

// GrowStep is how much one request of Grow takes, in MiB: no handler may be away for as long as a hang lasts.
const GrowStep = 64

// exhaust takes memory until the runtime or the kernel ends the process. Within a limit of its own the runtime does.
func exhaust(limitMiB int) error {
	if limitMiB > 0 {
		used, err := addressSpace()
		if err != nil {
			return err
		}
		most := used + uint64(limitMiB)<<20
		if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("cannot limit the address space: %w", err)
		}
	}
	var held [][]byte
	for range exhaustMost {
		held = append(held, slices.Repeat([]byte{1}, 1<<20))
	}
	return fmt.Errorf("%d MiB were there to be had: expected a limit of memory", len(held))
}

// exhaustMost is in MiB: beyond that there is no limit in effect, and the machine's memory would be next.
const exhaustMost = 1024

// addressSpace is how much of it this process uses, in bytes.
func addressSpace() (bytes uint64, err error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(b), &pages); err != nil {
		return 0, fmt.Errorf("cannot read /proc/self/statm: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}
