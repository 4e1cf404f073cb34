package pair_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"time"

	"github.com/1fb4ed1c/tandem/control"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// A service that counts what it is asked to. Started once it is a pair.
func Example() {
	svc := pair.New("hits")
	hits := pair.Map[string, int64](svc, "hits")
	pair.Handle(svc, "hit", func(c *pair.Call, page string) (int64, error) {
		hits.Set(page, hits.Get(page)+1)
		return hits.Get(page), nil
	})
	if err := svc.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A reminder survives its primary: the timer is tracked state and fires once.
func ExampleNewTimer() {
	svc := pair.New("reminders")
	sent := pair.Queue[string](svc, "sent")
	reminders := pair.NewTimer(svc, "reminders", func(c *pair.Call, text string) error {
		sent.Push(text)
		return nil
	})
	pair.Handle(svc, "remind", func(c *pair.Call, text string) (uint64, error) {
		return reminders.After(c, time.Minute, text)
	})
	if err := svc.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A protocol of lines for clients that know nothing of pairs, such as nc. Their connections outlive every primary.
func ExampleListen() {
	svc := pair.New("lines")
	count := pair.Counter(svc, "count")
	pair.Listen(svc, "127.0.0.1:7007", pair.Protocol{
		Cut: func(b []byte) (int, error) { return bytes.IndexByte(b, '\n') + 1, nil },
		Handle: func(c *pair.Call, line, dst []byte) ([]byte, error) {
			return fmt.Appendf(dst, "%d %s", count.Add(1), line), nil
		},
		Fail: func(dst []byte, err error) []byte { return fmt.Appendf(dst, "error: %v\n", err) },
	})
	if err := svc.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A pair by hand: the same loop on both members. What the primary checkpoints, the backup reads.
func ExampleMember() {
	ctx := context.Background()
	m, err := pair.Join(ctx, "echo")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	var last string
	for {
		msg, err := m.Inbox().ReadUpdate(ctx)
		if err != nil {
			return
		}
		switch msg := msg.(type) {
		case *receive.Request: // as primary
			last = string(msg.Body)
			state, _ := control.StateOf("last", last)
			if m.CheckpointReply(msg, msg.Body, nil, state) == nil {
				_ = m.Inbox().Reply(msg.Tag, msg.Body, nil)
			}
		case receive.Created: // a new backup: send it everything
			state, _ := control.StateOf("last", last)
			_ = m.Checkpoint(state)
			_ = m.Synchronised()
		case receive.FromPrimary: // as backup
			if state, ok := msg.Value.(control.State); ok {
				_ = state.Decode(&last)
			}
		}
	}
}
