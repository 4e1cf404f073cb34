package command

import (
	"math"
	"strconv"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// text finds the string under a key. It answers if there is another kind of value.
func (r *run) text(key []byte) (e keyspace.Entry, ok bool) {
	e = r.db.Find(key)
	if e != "" && e.Kind() != keyspace.String {
		r.fail(errWrongType)
		return e, false
	}
	return e, true
}

func (r *run) get() {
	if e, ok := r.text(r.args[1]); ok {
		r.sayMaybe(e.Value(), e != "")
	}
}

// fits reports whether a string may be so long, and answers if not.
func (r *run) fits(n int) bool {
	if n > r.s.maxValue {
		r.fail(errTooLong)
		return false
	}
	return true
}

// setOptions are those of SET and GETEX.
type setOptions struct {
	nx, xx, get, keep, persist bool
	unit                       string // ex, px, exat, pxat; empty: no deadline
	amount                     []byte
}

// parseSet reads the options from the given ones on, of SET or of GETEX. It answers if they cannot be.
func (r *run) parseSet(args [][]byte, getex bool) (o setOptions, ok bool) {
	for len(args) > 0 {
		ttl := o.unit != "" || o.keep || o.persist
		unit := deadlineUnit(args[0])
		switch a := args[0]; {
		case is(a, "nx") && !getex && !o.xx:
			o.nx = true
		case is(a, "xx") && !getex && !o.nx:
			o.xx = true
		case is(a, "get") && !getex:
			o.get = true
		case is(a, "keepttl") && !getex && (!ttl || o.keep):
			o.keep = true
		case is(a, "persist") && getex && (!ttl || o.persist):
			o.persist = true
		case unit != "" && len(args) > 1 && (!ttl || o.unit == unit):
			o.unit, o.amount = unit, args[1]
			args = args[1:]
		default:
			r.fail(errSyntax)
			return o, false
		}
		args = args[1:]
	}
	return o, true
}

func deadlineUnit(arg []byte) string {
	for _, u := range [...]string{"ex", "px", "exat", "pxat"} {
		if is(arg, u) {
			return u
		}
	}
	return ""
}

// deadline makes a time of an amount in a unit, in milliseconds since 1970. It answers if that is none.
func (r *run) deadline(unit string, amount []byte) (at int64, ok bool) {
	n, ok := r.integer(amount)
	if !ok {
		return 0, false
	}
	seconds, base := unit == "ex" || unit == "exat", r.ks.Now()
	if unit == "exat" || unit == "pxat" {
		base = 0
	}
	if n <= 0 || seconds && n > math.MaxInt64/1000 {
		r.badExpire()
		return 0, false
	}
	if seconds {
		n *= 1000
	}
	if n > math.MaxInt64-base {
		r.badExpire()
		return 0, false
	}
	return base + n, true
}

func (r *run) badExpire() { r.fail("ERR invalid expire time in '" + lower(r.args[0]) + "' command") }

func (r *run) set() {
	key, value := r.args[1], r.args[2]
	if len(r.args) == 3 {
		keyspace.SetString(r.db, key, r.db.Find(key), 0, value)
		r.sayOK()
		return
	}
	o, ok := r.parseSet(r.args[3:], false)
	if !ok {
		return
	}
	var at int64
	if o.unit != "" {
		if at, ok = r.deadline(o.unit, o.amount); !ok {
			return
		}
	}
	e := r.db.Find(key)
	if o.get {
		if e, ok = r.text(key); !ok {
			return
		}
		r.sayMaybe(e.Value(), e != "")
	}
	if o.nx && e != "" || o.xx && e == "" {
		if !o.get {
			r.sayNull()
		}
		return
	}
	if o.keep {
		at = e.Expire()
	}
	keyspace.SetString(r.db, key, e, at, value)
	if !o.get {
		r.sayOK()
	}
}

func (r *run) setnx() {
	if r.db.Find(r.args[1]) != "" {
		r.sayBool(false)
		return
	}
	keyspace.SetString(r.db, r.args[1], "", 0, r.args[2])
	r.sayBool(true)
}

func (r *run) setex()  { r.setFor("ex") }
func (r *run) psetex() { r.setFor("px") }

func (r *run) setFor(unit string) {
	if at, ok := r.deadline(unit, r.args[2]); ok {
		keyspace.SetString(r.db, r.args[1], r.db.Find(r.args[1]), at, r.args[3])
		r.sayOK()
	}
}

func (r *run) getset() {
	if e, ok := r.text(r.args[1]); ok {
		r.sayMaybe(e.Value(), e != "")
		keyspace.SetString(r.db, r.args[1], e, 0, r.args[2])
	}
}

func (r *run) getdel() {
	if e, ok := r.text(r.args[1]); ok {
		r.sayMaybe(e.Value(), e != "")
		r.db.Delete(r.args[1])
	}
}

func (r *run) getex() {
	o, ok := r.parseSet(r.args[2:], true)
	if !ok {
		return
	}
	e, ok := r.text(r.args[1])
	if !ok {
		return
	}
	if e == "" {
		r.sayNull()
		return
	}
	at := e.Expire()
	switch {
	case o.persist:
		at = 0
	case o.unit != "":
		if at, ok = r.deadline(o.unit, o.amount); !ok {
			return
		}
	}
	r.sayBulk(e.Value())
	r.expireAt(r.args[1], e, at)
}

func (r *run) mget() {
	r.sayArray(len(r.args) - 1)
	for _, k := range r.args[1:] {
		e := r.db.Find(k)
		r.sayMaybe(e.Value(), e.Kind() == keyspace.String)
	}
}

func (r *run) mset() {
	if len(r.args)%2 == 0 {
		r.arity()
		return
	}
	r.setAll()
	r.sayOK()
}

func (r *run) msetnx() {
	if len(r.args)%2 == 0 {
		r.arity()
		return
	}
	for i := 1; i < len(r.args); i += 2 {
		if r.db.Find(r.args[i]) != "" {
			r.sayBool(false)
			return
		}
	}
	r.setAll()
	r.sayBool(true)
}

func (r *run) setAll() {
	for i := 1; i < len(r.args); i += 2 {
		keyspace.SetString(r.db, r.args[i], r.db.Find(r.args[i]), 0, r.args[i+1])
	}
}

func (r *run) appendTo() {
	e, ok := r.text(r.args[1])
	if !ok {
		return
	}
	n := len(e.Value()) + len(r.args[2])
	if e != "" && !r.fits(n) {
		return
	}
	keyspace.SetString(r.db, r.args[1], e, e.Expire(), []byte(e.Value()), r.args[2])
	r.sayInt(n)
}

func (r *run) strlen() {
	if e, ok := r.text(r.args[1]); ok {
		r.sayInt(len(e.Value()))
	}
}

func (r *run) getrange() {
	from, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	to, ok := r.integer(r.args[3])
	if !ok {
		return
	}
	e, ok := r.text(r.args[1])
	if !ok {
		return
	}
	v := e.Value()
	if from < 0 && to < 0 && from > to {
		v = ""
	}
	if to < 0 {
		to = max(to+int64(len(v)), 0) // as in Redis, where a range that ends before the beginning has its first byte
	}
	first, n := span(from, to, len(v))
	r.sayBulk(v[first : first+n])
}

func (r *run) setrange() {
	offset, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	if offset < 0 {
		r.fail("ERR offset is out of range")
		return
	}
	e, ok := r.text(r.args[1])
	if !ok {
		return
	}
	old, part := e.Value(), r.args[3]
	if len(part) == 0 {
		r.sayInt(len(old))
		return
	}
	end := clamp(offset) + len(part)
	if !r.fits(end) {
		return
	}
	v := make([]byte, max(len(old), end))
	copy(v, old)
	copy(v[offset:], part)
	keyspace.SetString(r.db, r.args[1], e, e.Expire(), v)
	r.sayInt(len(v))
}

func (r *run) incr()   { r.count(1) }
func (r *run) decr()   { r.count(-1) }
func (r *run) incrby() { r.countBy(false) }
func (r *run) decrby() { r.countBy(true) }

func (r *run) countBy(down bool) {
	n, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	if down {
		if n == math.MinInt64 {
			r.fail("ERR decrement would overflow")
			return
		}
		n = -n
	}
	r.count(n)
}

// count adds to the number under a key.
func (r *run) count(by int64) {
	e, ok := r.text(r.args[1])
	if !ok {
		return
	}
	var n int64
	if e != "" {
		var buf [20]byte // the longest number, so that nothing is allocated
		if n, ok = resp.Integer(append(buf[:0], e.Value()...)); !ok {
			r.fail(errInteger)
			return
		}
	}
	if n, ok = add(n, by); !ok {
		r.fail(errOverflow)
		return
	}
	var buf [20]byte
	keyspace.SetString(r.db, r.args[1], e, e.Expire(), strconv.AppendInt(buf[:0], n, 10))
	r.out = resp.AppendInt(r.out, n)
}

func (r *run) incrbyfloat() {
	e, ok := r.text(r.args[1])
	if !ok {
		return
	}
	value := e.Value()
	if e == "" {
		value = "0"
	}
	v, ok := longFloat(value)
	by, ok2 := longFloat(string(r.args[2]))
	if !ok || !ok2 {
		r.fail(errFloat)
		return
	}
	sum, ok := addFloats(v, by)
	if !ok {
		r.fail(errNaN)
		return
	}
	keyspace.SetString(r.db, r.args[1], e, e.Expire(), sum)
	r.sayBulk(sum)
}
