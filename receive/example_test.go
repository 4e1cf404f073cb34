package receive_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/1fb4ed1c/tandem/receive"
)

// A requester calls the pair "bank". A takeover between or during calls shows only in their time.
func ExampleDial() {
	ctx := context.Background()
	bank, err := receive.Dial(ctx, "bank")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bank.Close()

	balance, err := receive.Call[int64](ctx, bank, "deposit", 5)
	switch {
	case err == nil:
		fmt.Println("balance:", balance)
	case errors.Is(err, receive.ErrWrongID):
		fmt.Println("the bank lost both members; dial again")
	case receive.MayBeApplied(err):
		fmt.Println("ask for the balance before doing it again:", err)
	default:
		fmt.Println("nothing has changed:", err)
	}
}

// A server reads everything that arrives in one loop, and replies by tag.
func ExampleInbox() {
	inbox := receive.NewInbox(receive.InboxConfig{
		Depth: 2,
		Reply: func(r receive.Reply) error {
			fmt.Printf("reply to %d: %s\n", r.To.(*receive.Request).SyncID, r.Data)
			return nil
		},
	})
	inbox.Push(&receive.Request{SyncID: 1, Method: "greet", Body: []byte("ada")})
	inbox.Push(&receive.Request{SyncID: 2, Method: "greet", Body: []byte("bob")})
	inbox.PushFront(receive.ProcessDeletion{Who: receive.Backup, PID: 42})

	var tags []int
	for inbox.Len() > 0 {
		m, err := inbox.ReadUpdate(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		switch m := m.(type) {
		case *receive.Request:
			tags = append(tags, m.Tag)
		case receive.ProcessDeletion:
			fmt.Println("message", m.Number(), "about the", m.Who)
		}
	}
	_ = inbox.Reply(tags[1], []byte("hello bob"), nil)
	_ = inbox.Reply(tags[0], []byte("hello ada"), nil)
	// Output:
	// message -101 about the backup
	// reply to 2: hello bob
	// reply to 1: hello ada
}

// The table of openers decides what happens to a request that comes again.
func ExampleOpener_Decide() {
	var openers receive.Openers
	o, err := openers.Open(receive.Identity{Depth: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	handle := func(id uint64) {
		verdict := o.Decide(id, id)
		if verdict == receive.Run {
			o.Begin(id)
			o.Save(id, 0, fmt.Appendf(nil, "result %d", id))
		}
		_, reply, _ := o.Saved(id)
		fmt.Printf("%d: %v %s\n", id, verdict, reply)
	}
	handle(1)
	handle(1)
	handle(2)
	handle(1)
	// Output:
	// 1: run result 1
	// 1: saved result 1
	// 2: run result 2
	// 1: too old
}

// A handler's error reaches the requester with its code.
func ExampleNewError() {
	insufficient := receive.NewError(300, "insufficient funds")

	code, text := receive.Describe(fmt.Errorf("account ada: %w", insufficient)) // what the server sends
	fmt.Println(code, text)

	received := &receive.Error{Code: code, Op: "call transfer on bank", Text: text} // what the requester gets
	fmt.Println(received)
	fmt.Println(errors.Is(received, insufficient), receive.MayBeApplied(received))
	// Output:
	// 300 account ada: insufficient funds
	// cannot call transfer on bank: account ada: insufficient funds (error 300)
	// true false
}
