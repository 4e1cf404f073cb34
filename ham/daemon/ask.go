package daemon

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/pair"
)

// ask handles a client's request.
func (h *half) ask(c *pair.Call, r core.Request) (talk.Answer, error) {
	r.ID, r.By = 1, h.peer(c)
	if a := r.Attach; a != nil && a.PID > 0 && a.Start == 0 {
		id, err := identify(a.PID)
		if err != nil {
			return talk.Refusal(fmt.Errorf("cannot attach %q: %w", a.Entity, err)), nil
		}
		a.Start = id.Start
	}
	if err := oneOf(&r); err != nil {
		return talk.Refusal(err), nil
	}
	return h.answer(c, r), nil
}

// answer has the machine decide on a request.
func (h *half) answer(c *pair.Call, r core.Request) talk.Answer {
	reply := h.step(c, core.Event{Request: &r})
	if reply == nil {
		return talk.Refusal(fmt.Errorf("a request that asks for nothing: %w", core.ErrBadSpec))
	}
	if reply.Err != nil {
		return talk.Refusal(reply.Err)
	}
	return talk.Answer{Handle: reply.Handle, Created: reply.Created, Value: reply.Value, Client: c.Opener()}
}

// oneOf refuses a request that asks for several things, or for nothing.
func oneOf(r *core.Request) error {
	n := 0
	for _, set := range []bool{r.Attach != nil, r.Detach != nil, r.Declare != nil, r.Remove != nil, r.Control != nil, r.State != nil, r.Raise != nil, r.Beat != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("a request asks for %d things, expected 1: %w", n, core.ErrBadSpec)
	}
	return nil
}

// peer tells who asks.
func (h *half) peer(c *pair.Call) core.Peer {
	uid, pid := c.Sender()
	return core.Peer{Client: c.Opener(), PID: pid, UID: uid, GID: h.groups.of(uid), Admin: uid == 0 || int(uid) == os.Geteuid()}
}

// groups knows the users' own groups.
type groups map[uint32]uint32

// of returns the group of a user; of one that is not known his number.
func (g *groups) of(uid uint32) uint32 {
	if gid, ok := (*g)[uid]; ok {
		return gid
	}
	gid := uid
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
			gid = uint32(n)
		}
	}
	if *g == nil || len(*g) > maxGroups {
		*g = groups{}
	}
	(*g)[uid] = gid
	return gid
}

const maxGroups = 1024
