// Command call is a requester of the quickstart service: it pays ada 100 and moves 5 of it to bob.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/1fb4ed1c/tandem/receive"
)

type transfer struct {
	From, To string
	Amount   int64
}

func main() {
	ctx := context.Background()
	bank, err := receive.Dial(ctx, "quickstart")
	if err != nil {
		log.Fatal(err)
	}
	defer bank.Close()
	if _, err := receive.Call[int64](ctx, bank, "deposit", transfer{To: "ada", Amount: 100}); err != nil {
		log.Fatal(err)
	}
	balance, err := receive.Call[int64](ctx, bank, "transfer", transfer{From: "ada", To: "bob", Amount: 5})
	fmt.Println("ada has", balance, err)
}
