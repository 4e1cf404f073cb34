package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// result is what became of a purchase.
type result struct {
	refused bool
	balance int64 // in the account file afterwards
	epoch   uint32
}

// right tells whether the purchase was made once, and the buyer knows.
func (r result) right() bool { return !r.refused && r.balance == 495 }

func (r result) String() string {
	s := "bought"
	if r.refused {
		s = "REFUSED"
	}
	s += fmt.Sprintf(", balance %d", r.balance)
	if !r.right() {
		s += " (wrong)"
	}
	return s
}

const within = 30 * time.Second // for one purchase with a takeover, on a starved machine

// printTable makes the purchase with every number of update points and a kill after every step.
func printTable(out io.Writer, buy func(points int, at step) (result, error)) error {
	fmt.Fprintf(out, "Account %d owes 485, its limit is 500. Somebody buys for 10. The primary is killed after:\n\n", first)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "step\ttwo update points\tthree update points")
	for at := wasRead; at <= wasReplied; at++ {
		fmt.Fprint(table, at)
		for _, points := range []int{2, 3} {
			if points == 2 && at == wasPlanned {
				fmt.Fprint(table, "\t-")
				continue
			}
			r, err := buy(points, at)
			if err != nil {
				return fmt.Errorf("cannot buy with %d update points and a kill after %q: %w", points, at, err)
			}
			fmt.Fprint(table, "\t", r)
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, explanation)
	return err
}

// buy makes one purchase from a real pair whose primary is killed after a step. dir is made, and holds all its files.
func buy(ctx context.Context, dir string, points int, at step) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	run, file := filepath.Join(dir, "run"), filepath.Join(dir, "accounts")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return r, err
	}
	if err := os.WriteFile(file, account{Number: first, Balance: 485, Limit: 500}.line(), 0o600); err != nil {
		return r, err
	}
	g, err := start(ctx, run, strconv.Itoa(points), strconv.Itoa(int(at)), file)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			cancel() // nobody has stopped the pair
		}
		err = errors.Join(err, g.end())
	}()
	if err := g.protected(); err != nil {
		return r, err
	}
	shop, err := receive.Dial(ctx, name, receive.RunDir(run))
	if err != nil {
		return r, err
	}
	defer shop.Close()
	_, err = receive.Call[int64](ctx, shop, "purchase", int64(10)) // over the takeover, with the same sync ID
	r.refused = errors.Is(err, errOverLimit)
	if err != nil && !r.refused {
		return r, err
	}
	if r.balance, err = receive.Call[int64](ctx, shop, "balance", nil); err != nil {
		return r, err
	}
	r.epoch = shop.Epoch()                // one more: there is a new primary
	if err := g.protected(); err != nil { // and it has a new backup
		return r, err
	}
	return r, pair.Stop(ctx, run, name)
}

// group is all the processes of one pair, whoever started them.
type group struct {
	id   int
	out  *os.File
	said *bufio.Reader
	stop func() bool
}

// start starts the server as a pair. The end of ctx kills it.
func start(ctx context.Context, run string, args ...string) (*group, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// The parent of a backup is killed here. Who adopts it then is this process, which can so wait for all of them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TANDEM_") })
	p, err := os.StartProcess(exe, append([]string{exe, "serve"}, args...), &os.ProcAttr{
		Env: append(env, "TANDEM_DIR="+run), Files: []*os.File{nil, in, os.Stderr}, Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	g := &group{id: p.Pid, out: out, said: bufio.NewReader(out)}
	_ = p.Release() // the whole group is waited for
	g.stop = context.AfterFunc(ctx, func() { _ = unix.Kill(-g.id, unix.SIGKILL) })
	return g, nil
}

// protected waits until a primary says that it has a backup.
func (g *group) protected() error {
	line, err := g.said.ReadString('\n')
	if err == nil && line != protected+"\n" {
		err = fmt.Errorf("it said %q", line)
	}
	if err != nil {
		return fmt.Errorf("the pair is not protected: %w", err)
	}
	return nil
}

// end waits for the end of all of them.
func (g *group) end() error {
	var err error
	for err == nil || errors.Is(err, unix.EINTR) {
		_, err = unix.Wait4(-g.id, nil, 0, nil)
	}
	g.stop()
	return g.out.Close()
}
