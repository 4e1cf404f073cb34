package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/examples/bank/bank"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/pair"
)

const (
	bankMemberVerb = "demo-bank"
	bankName       = "bank"
	homePrefix     = "tandem-demo-"
)

// newBankMember is the hidden verb with which the demo runs this program as a member of its bank.
func newBankMember() *cobra.Command {
	return &cobra.Command{
		Use:    bankMemberVerb + " HOME OWNER",
		Short:  "Be a member of the demo's bank; HOME is its directory, OWNER the demo as pid@start",
		Hidden: true,
		Args:   takes(2, 2, "HOME and OWNER"),
		RunE: func(_ *cobra.Command, args []string) error {
			owner, err := parseID(args[1])
			if err != nil {
				return usageError{err}
			}
			return serveBank(args[0], owner)
		},
	}
}

// serveBank is a member of the bank for as long as the demo lives. A demo that is killed leaves nothing behind: its bank
// stops, and removes the directory.
func serveBank(home string, owner proc.ID) error {
	_, _ = unix.Setsid() // Ctrl-C is for the demo, which stops the bank when its clients have finished
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p, err := proc.Open(owner)
	if err != nil {
		sweep(home)
		return fmt.Errorf("the demo is gone: %w", err)
	}
	defer p.Close()
	go func() { // ends with the demo or with this process
		if _, err := sock.WaitReadable(p.FD(), -1); err == nil {
			cancel()
		}
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	err = bank.New(bankName, pair.Config{Dir: runDir(home), Logger: log}).Run(ctx)
	if ctx.Err() != nil {
		sweep(home)
	}
	return err
}

// sweep removes the demo's directory, and nothing else.
func sweep(home string) {
	if strings.HasPrefix(filepath.Base(home), homePrefix) {
		_ = os.RemoveAll(home)
	}
}

func runDir(home string) string { return filepath.Join(home, "run") }

// parseID is the reverse of proc.ID.String.
func parseID(s string) (proc.ID, error) {
	pid, start, _ := strings.Cut(s, "@")
	id := proc.ID{}
	var err error
	if id.PID, err = strconv.Atoi(pid); err == nil {
		id.Start, err = strconv.ParseUint(start, 10, 64)
	}
	if err != nil {
		return proc.ID{}, fmt.Errorf("%q is no process as pid@start: %w", s, err)
	}
	return id, nil
}
