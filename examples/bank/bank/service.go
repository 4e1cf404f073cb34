// Package bank is a bank as a process pair: accounts, deposits, transfers between accounts, and an audit.
//
// Invariant: the sum of all balances is the sum of all deposits, and every booking that a customer was told of is in the
// books once, whatever is killed.
//
// It is also the bank's client, and the load that proves the invariant: see [Ledger].
package bank

import (
	"math"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// What a call to the bank can be refused with.
var (
	ErrInsufficient = receive.NewError(256, "insufficient funds")
	ErrAmount       = receive.NewError(257, "the amount must be positive")
	ErrVault        = receive.NewError(258, "the bank cannot hold that much")
	ErrAccount      = receive.NewError(259, "an account needs a name")
)

// Deposit puts money into an account.
type Deposit struct {
	Account string `msgpack:"account"`
	Amount  int64  `msgpack:"amount"`
}

// Transfer moves money from one account to another.
type Transfer struct {
	From   string `msgpack:"from"`
	To     string `msgpack:"to"`
	Amount int64  `msgpack:"amount"`
}

// Statement is what an account holds, and in how many bookings it came to that. The answer to a booking is the statement
// after it: so a customer who keeps books too sees at once whether any booking is missing or was made twice.
type Statement struct {
	Balance int64 `msgpack:"balance"`
	Entries int64 `msgpack:"entries"`
}

// Audit is the bank's books at one instant.
type Audit struct {
	Accounts  int   `msgpack:"accounts"`
	Total     int64 `msgpack:"total"`     // sum of all balances
	Deposited int64 `msgpack:"deposited"` // sum of all deposits
	Transfers int64 `msgpack:"transfers"` // made so far
}

// Balanced tells whether no money appeared or vanished.
func (a Audit) Balanced() bool { return a.Total == a.Deposited }

// New returns the bank's service, called name.
func New(name string, cfg pair.Config) *pair.Service {
	svc := cfg.New(name)
	balances := pair.Map[string, int64](svc, "balances")
	entries := pair.Map[string, int64](svc, "entries")
	deposited := pair.Counter(svc, "deposited")
	transfers := pair.Counter(svc, "transfers")

	statement := func(account string) Statement { return Statement{balances.Get(account), entries.Get(account)} }
	book := func(account string, amount int64) {
		balances.Set(account, balances.Get(account)+amount)
		entries.Set(account, entries.Get(account)+1)
	}

	pair.Handle(svc, "deposit", func(c *pair.Call, d Deposit) (Statement, error) {
		switch {
		case d.Account == "":
			return Statement{}, ErrAccount
		case d.Amount <= 0:
			return Statement{}, ErrAmount
		case d.Amount > math.MaxInt64-deposited.Get(): // no balance can exceed the sum of all deposits
			return Statement{}, ErrVault
		}
		deposited.Add(d.Amount)
		book(d.Account, d.Amount)
		return statement(d.Account), nil
	})
	pair.Handle(svc, "transfer", func(c *pair.Call, t Transfer) (Statement, error) {
		if t.From == "" || t.To == "" {
			return Statement{}, ErrAccount
		}
		if t.Amount <= 0 {
			return Statement{}, ErrAmount
		}
		transfers.Add(1)
		book(t.From, -t.Amount)
		if balances.Get(t.From) < 0 {
			return Statement{}, ErrInsufficient // an error undoes every change of this call
		}
		book(t.To, t.Amount)
		return statement(t.From), nil
	})
	pair.Handle(svc, "statement", func(c *pair.Call, account string) (Statement, error) {
		return statement(account), nil
	})
	pair.Handle(svc, "audit", func(c *pair.Call, _ struct{}) (a Audit, err error) {
		for _, balance := range balances.All() {
			a.Accounts++
			a.Total += balance
		}
		a.Deposited, a.Transfers = deposited.Get(), transfers.Get()
		return a, nil
	})
	return svc
}
