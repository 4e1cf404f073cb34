package watching

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// watchBare starts a program that waits for the end of many processes and does nothing else.
func watchBare(ctx context.Context, w *world.World, c *crowd) (processes, error) {
	list, err := os.CreateTemp(w.Base, "pids")
	if err != nil {
		return nil, err
	}
	defer os.Remove(list.Name())
	defer list.Close()
	for _, pid := range c.pids {
		if _, err := fmt.Fprintln(list, pid); err != nil {
			return nil, err
		}
	}
	if _, err := list.Seek(0, 0); err != nil {
		return nil, err
	}
	p, err := w.SpawnAndHear(ctx, []*os.File{list}, "watch")
	if err != nil {
		return nil, err
	}
	return processes{p}, nil
}

// watchProcess is that program: it reads the pids from descriptor 3, and says on 4 that it waits.
func watchProcess() *cobra.Command {
	return &cobra.Command{Use: "watch", RunE: func(*cobra.Command, []string) error {
		epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		list := os.NewFile(3, "pids")
		for lines := bufio.NewScanner(list); lines.Scan(); {
			pid, err := strconv.Atoi(lines.Text())
			if err != nil {
				return err
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				return fmt.Errorf("cannot watch process %d: %w", pid, err)
			}
			if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
				return err
			}
		}
		if err := world.Ready(4); err != nil {
			return err
		}
		var events [1]unix.EpollEvent
		for {
			if n, err := unix.EpollWait(epfd, events[:], -1); err != unix.EINTR && (err != nil || n > 0) {
				return err // one has ended: the run is over
			}
		}
	}}
}
