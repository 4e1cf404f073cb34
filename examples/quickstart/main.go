// Command quickstart is a complete process pair: a primary, a backup that goes on when it is killed, and nothing in the
// program that says so.
package main

import (
	"context"
	"log"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

type transfer struct {
	From, To string
	Amount   int64
}

var errInsufficient = receive.NewError(256, "insufficient funds")

func main() {
	svc := pair.New("quickstart")
	accounts := pair.Map[string, int64](svc, "accounts")

	pair.Handle(svc, "deposit", func(c *pair.Call, t transfer) (balance int64, err error) {
		accounts.Set(t.To, accounts.Get(t.To)+t.Amount)
		return accounts.Get(t.To), nil
	})
	pair.Handle(svc, "transfer", func(c *pair.Call, t transfer) (balance int64, err error) {
		accounts.Set(t.From, accounts.Get(t.From)-t.Amount)
		accounts.Set(t.To, accounts.Get(t.To)+t.Amount)
		if accounts.Get(t.From) < 0 {
			return 0, errInsufficient // an error undoes every change of this call
		}
		return accounts.Get(t.From), nil // changes and reply reach the backup, then the requester
	})
	if err := svc.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
