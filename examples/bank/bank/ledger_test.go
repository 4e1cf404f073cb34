package bank

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// faultyBank books for one account, and cheats when it is told to.
type faultyBank struct{ now, before Statement }

func (b *faultyBank) book(op Operation) Statement {
	b.before = b.now
	if op.Pay {
		b.now.Balance -= op.Amount
	} else {
		b.now.Balance += op.Amount
	}
	b.now.Entries++
	return b.now
}

// forget loses the last booking, whose answer the customer has.
func (b *faultyBank) forget() { b.now = b.before }

func TestLedgerCountsEveryLostAndEveryDuplicatedRequest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l Ledger
		var b faultyBank
		var want Tally
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		sound := true // one fault at a time: two of equal amounts, a loss and a duplicate, are no fault at all
		for range rapid.IntRange(1, 50).Draw(t, "requests") {
			op := l.Draw(r)
			require.Positive(t, op.Amount, "no request is refused")
			if op.Pay {
				require.LessOrEqual(t, op.Amount, l.now.Balance, "nobody pays more than there is")
			}
			fault := "none"
			if sound {
				fault = rapid.SampledFrom([]string{"none", "none", "duplicated", "lost", "failed before", "failed after"}).Draw(t, "fault")
			}
			sound = fault == "none"
			switch fault {
			case "failed before":
				l.Failed(op, true, b.now)
				want.Failed++
				continue
			case "failed after":
				l.Failed(op, true, b.book(op))
				want.Failed++
				continue
			case "duplicated":
				b.book(op)
				want.Duplicated++
			}
			l.Booked(op, b.book(op))
			want.Requests++
			if fault == "lost" {
				b.forget()
				want.Lost++
			}
		}
		l.Check(b.now)
		require.Equal(t, want, l.Tally, "what the bank did wrong is what its customer counts")
	})
}

func TestLedgerSeesOneBookingLostAndAnotherMadeTwice(t *testing.T) {
	t.Parallel()
	var l Ledger
	l.Booked(Operation{Amount: 5}, Statement{Balance: 5, Entries: 1})
	l.Booked(Operation{Amount: 7}, Statement{Balance: 14, Entries: 2}) // 7 twice, 5 not at all
	require.Equal(t, Tally{Requests: 2, Lost: 1, Duplicated: 1}, l.Tally)
	require.False(t, l.Tally.Clean())
}

func TestLedgerKnowsThatARefusedRequestWasNotBooked(t *testing.T) {
	t.Parallel()
	var l Ledger
	l.Failed(Operation{Amount: 5}, false, Statement{})
	l.Booked(Operation{Amount: 2}, Statement{Balance: 2, Entries: 1})
	require.Equal(t, Tally{Requests: 1, Failed: 1}, l.Tally)
}

func TestLedgerRemembersWhatItPaid(t *testing.T) {
	t.Parallel()
	var l Ledger
	l.Booked(Operation{Amount: 9}, Statement{Balance: 9, Entries: 1})
	l.Booked(Operation{Pay: true, Amount: 4}, Statement{Balance: 5, Entries: 2})
	l.Failed(Operation{Pay: true, Amount: 3}, true, Statement{Balance: 2, Entries: 3}) // it was made after all
	l.Failed(Operation{Pay: true, Amount: 1}, true, Statement{Balance: 2, Entries: 3}) // it was not
	require.Equal(t, Statement{Balance: 7, Entries: 2}, l.paid)
	require.Equal(t, Tally{Requests: 2, Failed: 2}, l.Tally)
}
