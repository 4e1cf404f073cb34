// Command counter is a process pair written by hand, as on NonStop's active backup (Guardian Programmer's Guide, 27-7 to
// 27-15): one loop over the inbox, in which the primary finds requests and the backup what the primary has checkpointed.
//
// It counts, and keeps a journal: a file with one line for each addition, which is never lost and never there twice.
//
//	go run ./examples/counter      a primary, which starts its backup; the same in a second terminal takes that one's place
//	go run ./examples/counter 5    its client: add 5 and print the count; 0 only prints it
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/1fb4ed1c/tandem/control"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

const name = "counter"

func main() {
	var err error
	if len(os.Args) > 1 {
		err = add(os.Args[1])
	} else {
		err = serve(context.Background(), pair.Config{}, filepath.Join(os.TempDir(), "counter.journal"))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// counter is one member of the pair. Both members hold the last three of its fields: they are what a checkpoint carries.
type counter struct {
	member  *pair.Member
	points  control.Points // what to do at each point where a member may have to go on
	journal *os.File

	count int64         // the state
	end   int64         // the file state: where the next line of the journal goes
	point control.Point // the control state: where whoever takes over goes on
}

var (
	idle    = control.Point{Name: "idle"}    // between two requests: there is nothing to go on with
	writing = control.Point{Name: "writing"} // a line of the journal is being written: it is written again
)

// serve runs one member until it leaves the pair. An error ends it, and the other member takes over.
func serve(ctx context.Context, cfg pair.Config, path string) error {
	m, err := cfg.Join(ctx, name)
	if err != nil {
		return err
	}
	c := &counter{member: m, point: idle}
	c.points.Register(idle.Name, func(control.Point) error { return nil })
	c.points.Register(writing.Name, func(control.Point) error { return c.write() })
	if m.Role() == pair.Primary { // the first member of all; the others are told what to open
		err = c.open(path)
	}
	for err == nil {
		var msg receive.Message
		if msg, err = m.Inbox().ReadUpdate(ctx); err == nil {
			err = c.handle(msg)
		}
	}
	if errors.Is(err, pair.ErrLeft) {
		err = nil // the pair has been stopped
	}
	return errors.Join(err, m.Close())
}

func (c *counter) handle(msg receive.Message) error {
	switch msg := msg.(type) {
	case *receive.Request: // as primary: a requester asks
		return c.request(msg)
	case receive.Created: // as primary: there is a backup that knows nothing yet
		open, _ := control.OpenOf("journal", c.journal.Name())
		if err := c.member.Checkpoint(append([]control.Message{open}, c.everything()...)...); err != nil {
			return err
		}
		return c.member.Synchronised() // from now on it can take over
	case receive.FromPrimary: // as backup: a part of a checkpoint
		return c.follow(msg.Value)
	case receive.ProcessDeletion: // the other member is dead
		if msg.Who == receive.Primary {
			return c.points.Resume(c.point) // this one is the primary now
		}
	case receive.SwitchedOver: // the members have changed places as planned
		if msg.Role == receive.Primary {
			return c.points.Resume(c.point)
		}
	}
	return nil // other system messages do not matter to a counter
}

// request adds to the count. The order is always the same: checkpoint, effect, reply.
func (c *counter) request(r *receive.Request) error {
	var amount int64
	if err := r.Decode(&amount); err != nil {
		return c.member.Inbox().Reply(r.Tag, nil, err)
	}
	reply, err := receive.Encode(c.count + amount)
	if err != nil {
		return err
	}
	if amount != 0 {
		c.count, c.point = c.count+amount, writing
		if err := c.member.CheckpointReply(r, reply, nil, c.everything()...); err != nil {
			return err // somebody else is primary
		}
		if err := c.write(); err != nil {
			return err
		}
	}
	return c.member.Inbox().Reply(r.Tag, reply, nil)
}

// everything is one complete continuation point. The file state is that from before the write, which can so be done again.
func (c *counter) everything() []control.Message {
	state, _ := control.StateOf("count", c.count) // numbers and strings can always be encoded
	file, _ := control.FileStateOf("journal", c.end)
	return []control.Message{state, file, c.point}
}

// write adds the present count to the journal. Done again from the same continuation point, it changes nothing.
func (c *counter) write() error {
	n, err := c.journal.WriteAt(fmt.Appendf(nil, "%19d\n", c.count), c.end)
	c.end, c.point = c.end+int64(n), idle
	return err
}

// follow takes one part of a checkpoint of the primary.
func (c *counter) follow(part any) error {
	switch part := part.(type) {
	case control.Open:
		var path string
		if err := part.Decode(&path); err != nil {
			return err
		}
		return c.open(path)
	case control.State:
		return part.Decode(&c.count)
	case control.FileState:
		return part.Decode(&c.end)
	case control.Point:
		c.point = part
		return c.points.Check(part) // better now than at the takeover
	}
	return fmt.Errorf("a part of a checkpoint that a counter does not have: %T", part)
}

// open opens the journal. A new counter begins with 0, at the end of whatever journal there is; a backup is told the
// position by the file state that follows.
func (c *counter) open(path string) (err error) {
	if c.journal, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	c.end, err = c.journal.Seek(0, io.SeekEnd)
	return err
}

// add is the client. It neither sees a takeover nor adds twice because of one.
func add(amount string) error {
	n, err := strconv.ParseInt(amount, 10, 64)
	if err != nil {
		return fmt.Errorf("cannot add: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := receive.Dial(ctx, name)
	if err != nil {
		return err
	}
	defer conn.Close()
	count, err := receive.Call[int64](ctx, conn, "add", n)
	if err == nil {
		fmt.Println(count)
	}
	return err
}
