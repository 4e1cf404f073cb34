package bank

import "math/rand/v2"

// Ledger is what a customer knows of an account that it alone uses: what it did, and so what the bank must say. It trusts
// nothing the bank says: a booking that the bank has lost or made twice shows in the next statement. It has no clock and
// does no I/O.
type Ledger struct {
	now   Statement // what the account holds, if the bank is right
	paid  Statement // what was paid out of it, in how many payments
	Tally Tally
}

// Tally counts what became of requests.
type Tally struct {
	Requests   int64 // answered
	Lost       int64 // answered, but not in the books
	Duplicated int64 // in the books more than once
	Failed     int64 // ended with an error
}

// Clean tells whether every request was answered and is in the books once.
func (t Tally) Clean() bool { return t.Lost == 0 && t.Duplicated == 0 && t.Failed == 0 }

// Add adds another tally to this one.
func (t *Tally) Add(o Tally) {
	t.Requests += o.Requests
	t.Lost += o.Lost
	t.Duplicated += o.Duplicated
	t.Failed += o.Failed
}

// Operation is a request that changes the books.
type Operation struct {
	Pay    bool // into the house account; else a deposit
	Amount int64
}

const mostAtOnce = 1000

// Draw chooses what to ask of the bank next: something that it cannot refuse.
func (l *Ledger) Draw(r *rand.Rand) Operation {
	most := min(l.now.Balance, mostAtOnce)
	if most <= 0 || r.IntN(2) == 0 {
		return Operation{Amount: 1 + r.Int64N(mostAtOnce)}
	}
	return Operation{Pay: true, Amount: 1 + r.Int64N(most)}
}

// Booked takes the bank's answer to op.
func (l *Ledger) Booked(op Operation, said Statement) {
	l.Tally.Requests++
	l.apply(op)
	l.compare(said)
}

// Failed notes that op ended with an error which says that nothing was done, or that maybe it was. In the latter case
// said is a statement from afterwards, which tells.
func (l *Ledger) Failed(op Operation, maybe bool, said Statement) {
	l.Tally.Failed++
	if !maybe {
		return
	}
	if said == l.after(op) {
		l.apply(op)
	}
	l.compare(said)
}

// Check takes a statement that the bank gives when nothing is under way.
func (l *Ledger) Check(said Statement) { l.compare(said) }

func (l *Ledger) after(op Operation) Statement {
	amount := op.Amount
	if op.Pay {
		amount = -amount
	}
	return Statement{l.now.Balance + amount, l.now.Entries + 1}
}

func (l *Ledger) apply(op Operation) {
	l.now = l.after(op)
	if op.Pay {
		l.paid.Balance += op.Amount
		l.paid.Entries++
	}
}

// compare counts by how much the bank differs, and goes on from what it says, so that nothing is counted twice. Equal
// numbers of entries with another balance are one booking lost and another made twice, at least.
func (l *Ledger) compare(said Statement) {
	switch n := said.Entries - l.now.Entries; {
	case n > 0:
		l.Tally.Duplicated += n
	case n < 0:
		l.Tally.Lost -= n
	case said.Balance != l.now.Balance:
		l.Tally.Lost++
		l.Tally.Duplicated++
	}
	l.now = said
}
