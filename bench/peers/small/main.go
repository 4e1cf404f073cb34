// Command small is the processes of the contestants whose start is measured (the supervised restart), or whose size might
// matter (the pair, and the reader of its log). In the program peers they would carry raft, etcd and NATS with them: 20 ms of
// their start.
//
// Invariant: none of them outlives the process that measures.
package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// verbs are called with the words after them.
var verbs = map[string]func(args []string) error{
	"supervise": supervise, // FILE ADDRESS
	"restarted": restarted, // FILE ADDRESS
	"member":    member,    // NAME PID-OF-THE-BENCH
	"drain":     drain,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "small:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || verbs[args[0]] == nil {
		return fmt.Errorf("cannot run %q: this program is started by bench/peers", args)
	}
	return verbs[args[0]](args[1:])
}

// endWith ends this process when that one ends: members of a pair start each other, and are nobody's children.
func endWith(pid string) error {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(n, 0)
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %w", n, err)
	}
	go func() {
		for {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != unix.EINTR {
				os.Exit(1)
			}
		}
	}()
	return nil
}
