package command

import "github.com/1fb4ed1c/tandem/examples/redis/resp"

func (r *run) multi() {
	if r.me.Multi {
		r.fail("ERR MULTI calls can not be nested")
		return
	}
	r.me.Multi = true
	r.saveSession()
	r.sayOK()
}

// enqueue keeps a command of a transaction.
func (r *run) enqueue() {
	r.s.state.Queued.Set(queueKey(r.id, r.me.Queued), string(r.request))
	r.me.Queued++
	r.saveSession()
	r.out = resp.AppendSimple(r.out, "QUEUED")
}

// endTransaction forgets the transaction and what is watched.
func (r *run) endTransaction() {
	r.s.forgetQueue(r.id, r.me.Queued)
	r.ks.Unwatch(r.id)
	if r.me.Multi {
		r.me.Multi, r.me.Failed, r.me.Queued = false, false, 0
		r.saveSession()
	}
}

func (r *run) exec() {
	if !r.me.Multi {
		r.fail("ERR EXEC without MULTI")
		return
	}
	failed, unchanged := r.me.Failed, r.ks.Unchanged(r.id)
	requests := make([]string, r.me.Queued)
	for i := range requests {
		requests[i] = r.s.state.Queued.Get(queueKey(r.id, i))
	}
	r.endTransaction()
	switch {
	case failed:
		r.fail("EXECABORT Transaction discarded because of previous errors.")
		return
	case !unchanged:
		r.sayNullArray()
		return
	}
	r.sayArray(len(requests))
	r.nested = true
	for _, q := range requests {
		r.args, _ = resp.Parse([]byte(q), r.s.args[1][:0]) // it could be read when it was queued
		r.s.args[1] = r.args
		r.execute()
	}
}

func (r *run) discard() {
	if !r.me.Multi {
		r.fail("ERR DISCARD without MULTI")
		return
	}
	r.endTransaction()
	r.sayOK()
}

func (r *run) watch() {
	if r.me.Multi {
		r.fail("ERR WATCH inside MULTI is not allowed")
		return
	}
	for _, key := range r.args[1:] {
		r.db.Watch(r.id, key)
	}
	r.sayOK()
}

func (r *run) unwatch() {
	r.ks.Unwatch(r.id)
	r.sayOK()
}
