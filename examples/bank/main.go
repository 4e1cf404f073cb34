// Command bank runs a bank as a process pair, and is its client.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/1fb4ed1c/tandem/examples/bank/bank"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := bank.New("bank", pair.Config{}).Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx := context.Background()
	c, err := receive.Dial(ctx, "bank")
	if err != nil {
		panic(err)
	}
	b, err := receive.Call[int64](ctx, c, "deposit", bank.Deposit{Account: "ada", Amount: 5})
	fmt.Println(b, err)
	a, err := receive.Call[bank.Audit](ctx, c, "audit", struct{}{})
	fmt.Println(a, err)
}
