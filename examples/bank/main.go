// Command bank runs a bank as a process pair, and is its client. Run it without arguments to see how it is used.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/1fb4ed1c/tandem/examples/bank/bank"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

const usage = `usage:
  bank serve                                   run the bank as a pair, until Ctrl-C
  bank deposit ACCOUNT AMOUNT                  put money into an account
  bank transfer FROM TO AMOUNT                 move money
  bank balance ACCOUNT                         what an account holds
  bank audit                                   add everything up
  bank load [--clients N] [--for DURATION]     let N customers work, and check every reply

The bank is the pair "bank" under the run directory (TANDEM_DIR, or a default).
`

const (
	name    = "bank"
	waitFor = 5 * time.Second // for a bank that does not answer
)

// errUsage asks for the usage text.
var errUsage = errors.New("wrong arguments")

func main() {
	err := run(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "bank: %v\n\n%s", err, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return flag.ErrHelp
	}
	verb, args := args[0], args[1:]
	switch verb {
	case "serve":
		if len(args) > 0 {
			return fmt.Errorf("%w: serve takes none", errUsage)
		}
		return bank.New(name, pair.Config{}).Run(context.Background())
	case "load":
		return load(args, out)
	case "help", "-h", "-help", "--help":
		return flag.ErrHelp
	}
	return book(verb, args, out)
}

// book makes one request and prints the answer.
func book(verb string, args []string, out io.Writer) error {
	takes := map[string]int{"deposit": 2, "transfer": 3, "balance": 1, "audit": 0}
	n, ok := takes[verb]
	if !ok {
		return fmt.Errorf("%w: there is no %q", errUsage, verb)
	}
	if len(args) != n {
		return fmt.Errorf("%w: %s takes %d, not %d", errUsage, verb, n, len(args))
	}
	var amount int64
	if n > 1 {
		var err error
		if amount, err = strconv.ParseInt(args[n-1], 10, 64); err != nil {
			return fmt.Errorf("%w: %q is not an amount", errUsage, args[n-1])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*waitFor)
	defer cancel()
	c, err := dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if verb == "audit" {
		return audit(ctx, c, out)
	}
	var s bank.Statement
	switch verb {
	case "deposit":
		s, err = c.Deposit(ctx, args[0], amount)
	case "transfer":
		s, err = c.Transfer(ctx, args[0], args[1], amount)
	case "balance":
		s, err = c.Statement(ctx, args[0])
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s has %d (%d bookings)\n", args[0], s.Balance, s.Entries)
	return nil
}

func dial(ctx context.Context) (*bank.Client, error) {
	c, err := bank.Dial(ctx, name, receive.RetryFor(waitFor))
	if errors.Is(err, receive.ErrPathDown) {
		return nil, fmt.Errorf("%w; is a \"bank serve\" running?", err)
	}
	return c, err
}

func audit(ctx context.Context, c *bank.Client, out io.Writer) error {
	a, err := c.Audit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d accounts hold %d; deposited were %d; %d transfers\n", a.Accounts, a.Total, a.Deposited, a.Transfers)
	if !a.Balanced() {
		return fmt.Errorf("the books do not balance: %d is missing", a.Deposited-a.Total)
	}
	return nil
}

// load lets customers work for a while. Kill the primary meanwhile.
func load(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	clients := flags.Int("clients", 4, "")
	span := flags.Duration("for", 10*time.Second, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 || *clients < 1 || *clients > 1000 || *span <= 0 {
		return fmt.Errorf("%w: load wants 1 to 1000 clients and a positive duration", errUsage)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	c, err := dial(ctx) // says sooner than a load would that nobody serves
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := bank.StartLoad(ctx, bank.LoadConfig{Name: name, Clients: *clients, Seed: rand.Uint64()})
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-time.After(*span):
	case <-ctx.Done():
	case <-l.GaveUp():
	}
	took := time.Since(began)
	ctx, cancelStop := context.WithTimeout(context.Background(), 2*waitFor)
	defer cancelStop()
	return report(out, l.Stop(ctx), took)
}

func report(out io.Writer, r bank.Result, took time.Duration) error {
	fmt.Fprintf(out, "%d requests (%.0f per second): %d lost, %d duplicated, %d failed; %d audits, %d of them unbalanced\n",
		r.Requests, float64(r.Requests)/took.Seconds(), r.Lost, r.Duplicated, r.Failed, r.Audits, r.Unbalanced)
	for i, t := range r.Clients {
		if !t.Clean() {
			fmt.Fprintf(out, "customer %d: %d requests, %d lost, %d duplicated, %d failed\n", i, t.Requests, t.Lost, t.Duplicated, t.Failed)
		}
	}
	if r.Err != nil {
		return fmt.Errorf("customers gave up: %w", r.Err)
	}
	if !r.OK() {
		return errors.New("the bank broke its promise")
	}
	return nil
}
