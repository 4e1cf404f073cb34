package command

import (
	"strconv"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// hash opens the hash under a key. It answers if there is another kind of value.
func (r *run) hash(key []byte) (h keyspace.HashKey, ok bool) {
	h, err := r.db.Hash(key)
	return h, !r.failed(err)
}

func (r *run) hset() {
	if n, ok := r.putFields(); ok {
		r.sayInt(n)
	}
}

func (r *run) hmset() {
	if _, ok := r.putFields(); ok {
		r.sayOK()
	}
}

func (r *run) putFields() (added int, ok bool) {
	if len(r.args)%2 == 1 {
		r.arity()
		return 0, false
	}
	h, ok := r.hash(r.args[1])
	if !ok {
		return 0, false
	}
	for i := 2; i < len(r.args); i += 2 {
		if h.Put(r.args[i], string(r.args[i+1])) {
			added++
		}
	}
	return added, true
}

func (r *run) hsetnx() {
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	_, found := h.Get(r.args[2])
	if !found {
		h.Put(r.args[2], string(r.args[3]))
	}
	r.sayBool(!found)
}

func (r *run) hget() {
	if h, ok := r.hash(r.args[1]); ok {
		r.sayMaybe(h.Get(r.args[2]))
	}
}

func (r *run) hmget() {
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	r.sayArray(len(r.args) - 2)
	for _, f := range r.args[2:] {
		r.sayMaybe(h.Get(f))
	}
}

func (r *run) hgetall() { r.sayHash(true, true) }
func (r *run) hkeys()   { r.sayHash(true, false) }
func (r *run) hvals()   { r.sayHash(false, true) }

func (r *run) sayHash(fields, values bool) {
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	n := h.Len()
	if fields && values {
		n *= 2
	}
	r.sayArray(n)
	h.Each(func(f, v string) bool {
		if fields {
			r.sayBulk(f)
		}
		if values {
			r.sayBulk(v)
		}
		return true
	})
}

func (r *run) hdel() {
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	n := 0
	for _, f := range r.args[2:] {
		if h.Remove(f) {
			n++
		}
	}
	r.sayInt(n)
}

func (r *run) hexists() {
	if h, ok := r.hash(r.args[1]); ok {
		_, found := h.Get(r.args[2])
		r.sayBool(found)
	}
}

func (r *run) hlen() {
	if h, ok := r.hash(r.args[1]); ok {
		r.sayInt(h.Len())
	}
}

func (r *run) hstrlen() {
	if h, ok := r.hash(r.args[1]); ok {
		v, _ := h.Get(r.args[2])
		r.sayInt(len(v))
	}
}

func (r *run) hincrby() {
	by, ok := r.integer(r.args[3])
	if !ok {
		return
	}
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	var n int64
	if v, found := h.Get(r.args[2]); found {
		if n, ok = resp.Integer([]byte(v)); !ok {
			r.fail("ERR hash value is not an integer")
			return
		}
	}
	if n, ok = add(n, by); !ok {
		r.fail(errOverflow)
		return
	}
	h.Put(r.args[2], strconv.FormatInt(n, 10))
	r.out = resp.AppendInt(r.out, n)
}

func (r *run) hincrbyfloat() {
	by, ok := longFloat(string(r.args[3]))
	if !ok {
		r.fail(errFloat)
		return
	}
	if by.IsInf() {
		r.fail("ERR value is NaN or Infinity")
		return
	}
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	value, found := h.Get(r.args[2])
	if !found {
		value = "0"
	}
	v, ok := longFloat(value)
	if !ok {
		r.fail("ERR hash value is not a float")
		return
	}
	sum, ok := addFloats(v, by)
	if !ok {
		r.fail(errNaN)
		return
	}
	h.Put(r.args[2], sum)
	r.sayBulk(sum)
}
