// Package bank is a bank as a process pair: accounts, deposits, transfers between accounts, and an audit.
//
// Invariant: the sum of all balances is the sum of all deposits, whatever is killed.
package bank

import (
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// What a call to the bank can be refused with.
var (
	ErrInsufficient = receive.NewError(256, "insufficient funds")
	ErrAmount       = receive.NewError(257, "the amount must be positive")
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

// Audit is the bank's books at one instant.
type Audit struct {
	Accounts  int   `msgpack:"accounts"`
	Total     int64 `msgpack:"total"`     // sum of all balances
	Deposited int64 `msgpack:"deposited"` // sum of all deposits
	Transfers int64 `msgpack:"transfers"` // made so far
}

// New returns the bank's service, called name.
func New(name string, cfg pair.Config) *pair.Service {
	svc := cfg.New(name)
	accounts := pair.Map[string, int64](svc, "accounts")
	deposited := pair.Counter(svc, "deposited")
	transfers := pair.Counter(svc, "transfers")

	pair.Handle(svc, "deposit", func(c *pair.Call, d Deposit) (balance int64, err error) {
		if d.Amount <= 0 {
			return 0, ErrAmount
		}
		deposited.Add(d.Amount)
		balance = accounts.Get(d.Account) + d.Amount
		accounts.Set(d.Account, balance)
		return balance, nil
	})
	pair.Handle(svc, "transfer", func(c *pair.Call, t Transfer) (balance int64, err error) {
		if t.Amount <= 0 {
			return 0, ErrAmount
		}
		balance = accounts.Get(t.From) - t.Amount
		if balance < 0 {
			return 0, ErrInsufficient // an error undoes every change of this call
		}
		transfers.Add(1)
		accounts.Set(t.From, balance)
		accounts.Set(t.To, accounts.Get(t.To)+t.Amount)
		return accounts.Get(t.From), nil
	})
	pair.Handle(svc, "balance", func(c *pair.Call, account string) (int64, error) {
		return accounts.Get(account), nil
	})
	pair.Handle(svc, "audit", func(c *pair.Call, _ struct{}) (a Audit, err error) {
		for _, balance := range accounts.All() {
			a.Accounts++
			a.Total += balance
		}
		a.Deposited, a.Transfers = deposited.Get(), transfers.Get()
		return a, nil
	})
	return svc
}
