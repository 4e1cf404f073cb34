package filestate

import (
	"context"
	"fmt"

	"github.com/1fb4ed1c/tandem/receive"
)

// Requester is an open of another pair, by a program that is a pair itself. Plan gives a request its sync ID; the program
// checkpoints the State; Do sends the request and returns its reply. When a backup goes on from the State, Do repeats the
// request under its old ID: the other pair runs it once, and answers it as often as it is asked (AG-7-19).
//
// Its state is a [receive.State], which holds a secret. A Requester is for one goroutine at a time.
type Requester struct {
	opts    []receive.Option
	st      receive.State // while conn is nil: what is to be resumed
	conn    *receive.Conn
	planned map[uint64]*receive.Pending // by this process
}

// OpenRequester opens the pair called name, as [receive.Dial] does.
func OpenRequester(ctx context.Context, name string, opts ...receive.Option) (*Requester, error) {
	conn, err := receive.Dial(ctx, name, opts...)
	if err != nil {
		return nil, err
	}
	return &Requester{opts: opts, conn: conn, planned: map[uint64]*receive.Pending{}}, nil
}

// BackupOpenRequester takes the open of a State over in the other member. It does not connect: the first Plan or Do after
// the takeover does, with [receive.Resume].
func BackupOpenRequester(st receive.State, opts ...receive.Option) *Requester {
	return &Requester{opts: opts, st: st, planned: map[uint64]*receive.Pending{}}
}

// State returns what the backup must know, to be checkpointed: the open, and the requests without a reply.
func (r *Requester) State() receive.State {
	if r.conn == nil {
		return r.st
	}
	return r.conn.State()
}

// SetState takes over what the other member has checkpointed. ErrNotThis: it is the state of another open, or this process
// uses the open already.
func (r *Requester) SetState(st receive.State) error {
	if r.conn != nil || st.Opener != r.st.Opener || st.Instance != r.st.Instance {
		return fmt.Errorf("cannot set the state of the open of %s: %w", r.st.Name, ErrNotThis)
	}
	r.st = st
	return nil
}

// Plan gives a request the sync ID under which Do will send it, this member's or, from the State, the other's. body must
// not change until then.
func (r *Requester) Plan(ctx context.Context, method string, body []byte) (id uint64, err error) {
	if err := r.resume(ctx); err != nil {
		return 0, err
	}
	p, err := r.conn.Prepare(ctx, method, body)
	if err != nil {
		return 0, err
	}
	r.planned[p.ID()] = p
	return p.ID(), nil
}

// Do sends the planned request with that ID and returns its reply, or the error that says whether it may have been applied.
func (r *Requester) Do(ctx context.Context, id uint64) ([]byte, error) {
	if err := r.resume(ctx); err != nil {
		return nil, err
	}
	if p := r.planned[id]; p != nil {
		delete(r.planned, id)
		return p.Do(ctx)
	}
	return r.conn.Reissue(ctx, id)
}

// Undo gives up a planned request. After a takeover it may have been applied.
func (r *Requester) Undo(ctx context.Context, id uint64) error {
	if err := r.resume(ctx); err != nil {
		return err
	}
	if p := r.planned[id]; p != nil {
		delete(r.planned, id)
		p.Drop()
		return nil
	}
	return r.conn.Forget(id)
}

// Close ends the open, for both members. A member that leaves while the other goes on does not call it.
func (r *Requester) Close() error {
	if r.conn == nil {
		return nil
	}
	return r.conn.Close()
}

// resume connects after a takeover.
func (r *Requester) resume(ctx context.Context) (err error) {
	if r.conn == nil {
		r.conn, err = receive.Resume(ctx, r.st, r.opts...)
	}
	return err
}
