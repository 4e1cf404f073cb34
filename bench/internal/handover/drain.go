package handover

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// DrainProcess is the backup: it drains everything every millisecond, until the socket ends.
func DrainProcess() *cobra.Command {
	return &cobra.Command{Use: "drain", RunE: func(*cobra.Command, []string) error { return drain() }}
}

// Descriptors of the process that drains.
const (
	drainLog = 3 + iota
	drainPlain
	drainUnix
	drainTCP
	drainReady
)

func drain() error {
	seg, err := checkpoint.Open(drainLog)
	if err != nil {
		return err
	}
	plain, err := mapPlain(drainPlain)
	if err != nil {
		return err
	}
	if err := world.Ready(drainReady); err != nil {
		return err
	}
	log, buf := seg.Reader(), make([]byte, 64<<10)
	for ; ; time.Sleep(time.Millisecond) {
		for _, err = log.Next(); err == nil; _, err = log.Next() {
		}
		log.Release()
		plain.drain(buf)
		for _, err = sock.Recv(drainUnix, buf); err == nil; _, err = sock.Recv(drainUnix, buf) {
		}
		if !errors.Is(err, sock.ErrAgain) {
			return nil // the end of the run
		}
		for n := 1; n > 0; plain.tcp.Add(uint64(max(n, 0))) {
			n, _, _ = unix.Recvfrom(drainTCP, buf, unix.MSG_DONTWAIT)
		}
	}
}
