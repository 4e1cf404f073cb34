package command

import (
	"math"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

func lower(b []byte) string { return strings.ToLower(string(b)) }

func (r *run) del() {
	n := 0
	for _, k := range r.args[1:] {
		if r.db.Delete(k) {
			n++
		}
	}
	r.sayInt(n)
}

func (r *run) exists() {
	n := 0
	for _, k := range r.args[1:] {
		if r.db.Find(k) != "" {
			n++
		}
	}
	r.sayInt(n)
}

func (r *run) typeOf() {
	r.out = resp.AppendSimple(r.out, r.db.Find(r.args[1]).Kind().String())
}

func (r *run) keys() {
	pattern := string(r.args[1])
	var found []string
	r.db.Names(func(name string, _ keyspace.Entry) bool {
		if match(pattern, name) {
			found = append(found, name)
		}
		return true
	})
	r.sayArray(len(found))
	for _, name := range found {
		r.sayBulk(name)
	}
}

func (r *run) rename() {
	if r.db.Find(r.args[1]) == "" {
		r.fail(errNoKey)
		return
	}
	r.db.Rename(r.args[1], r.args[2])
	r.sayOK()
}

func (r *run) renamenx() {
	if r.db.Find(r.args[1]) == "" {
		r.fail(errNoKey)
		return
	}
	free := r.db.Find(r.args[2]) == ""
	if free {
		r.db.Rename(r.args[1], r.args[2])
	}
	r.sayBool(free)
}

func (r *run) randomkey() { r.sayMaybe(r.db.Random(r.c.Rand())) }

func (r *run) dbsize() { r.sayInt(r.db.Len()) }

func (r *run) flushdb()  { r.flush(r.me.DB, r.me.DB+1) }
func (r *run) flushall() { r.flush(0, keyspace.Databases) }

func (r *run) flush(from, to int) {
	if n := len(r.args); n > 2 || n == 2 && !is(r.args[1], "sync") && !is(r.args[1], "async") {
		r.fail(errSyntax)
		return
	}
	for n := from; n < to; n++ {
		r.ks.DB(n).Flush()
	}
	r.sayOK()
}

func (r *run) expire()    { r.expireKey(true, r.ks.Now()) }
func (r *run) pexpire()   { r.expireKey(false, r.ks.Now()) }
func (r *run) expireat()  { r.expireKey(true, 0) }
func (r *run) pexpireat() { r.expireKey(false, 0) }

// expireKey gives a key a deadline that is counted from base, in milliseconds since 1970.
func (r *run) expireKey(seconds bool, base int64) {
	o, ok := r.parseExpire()
	if !ok {
		return
	}
	at, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	if seconds {
		if at > math.MaxInt64/1000 || at < math.MinInt64/1000 {
			r.badExpire()
			return
		}
		at *= 1000
	}
	if at > math.MaxInt64-base {
		r.badExpire()
		return
	}
	at += base
	e := r.db.Find(r.args[1])
	was := e.Expire()
	refused := e == "" || o.nx && was != 0 || o.xx && was == 0 || o.gt && (was == 0 || at <= was) || o.lt && was != 0 && at >= was
	if !refused {
		r.expireAt(r.args[1], e, max(at, 1))
	}
	r.sayBool(!refused)
}

// expireAt gives a key that holds e a deadline; 0: none. One that has passed deletes it.
func (r *run) expireAt(key []byte, e keyspace.Entry, at int64) {
	switch {
	case at != 0 && at <= r.ks.Now():
		r.db.Delete(key)
	case at != e.Expire():
		r.db.SetExpire(key, e, at)
	}
}

type expireOptions struct{ nx, xx, gt, lt bool }

func (r *run) parseExpire() (o expireOptions, ok bool) {
	for _, a := range r.args[3:] {
		switch {
		case is(a, "nx"):
			o.nx = true
		case is(a, "xx"):
			o.xx = true
		case is(a, "gt"):
			o.gt = true
		case is(a, "lt"):
			o.lt = true
		default:
			r.fail("ERR Unsupported option " + string(a))
			return o, false
		}
	}
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		r.fail("ERR NX and XX, GT or LT options at the same time are not compatible")
	case o.gt && o.lt:
		r.fail("ERR GT and LT options at the same time are not compatible")
	default:
		return o, true
	}
	return o, false
}

func (r *run) ttl()         { r.left(r.ks.Now(), 1000) }
func (r *run) pttl()        { r.left(r.ks.Now(), 1) }
func (r *run) expiretime()  { r.left(0, 1000) }
func (r *run) pexpiretime() { r.left(0, 1) }

// left answers how much time a key has from one on, in a unit of milliseconds.
func (r *run) left(from, unit int64) {
	e := r.db.Find(r.args[1])
	switch at := e.Expire(); {
	case e == "":
		r.sayInt(-2)
	case at == 0:
		r.sayInt(-1)
	default:
		r.out = resp.AppendInt(r.out, (max(at-from, 0)+unit/2)/unit)
	}
}

func (r *run) persist() {
	e := r.db.Find(r.args[1])
	r.sayBool(e.Expire() != 0)
	r.expireAt(r.args[1], e, 0)
}

func (r *run) copyKey() {
	to, replace := r.db, false
	for rest := r.args[3:]; len(rest) > 0; rest = rest[1:] {
		switch {
		case is(rest[0], "replace"):
			replace = true
		case is(rest[0], "db") && len(rest) > 1:
			n, ok := r.dbNumber(rest[1])
			if !ok {
				return
			}
			to, rest = r.ks.DB(n), rest[1:]
		default:
			r.fail(errSyntax)
			return
		}
	}
	from, name := r.args[1], r.args[2]
	if to == r.db && string(from) == string(name) {
		r.fail("ERR source and destination objects are the same")
		return
	}
	if r.db.Find(from) == "" || !replace && to.Find(name) != "" {
		r.sayBool(false)
		return
	}
	to.Delete(name)
	r.db.Copy(from, to, name)
	r.sayBool(true)
}

func (r *run) object() {
	e := r.db.Find(r.args[2])
	switch {
	case e == "":
		r.sayNull()
	case is(r.args[1], "refcount"):
		r.sayInt(1)
	default:
		r.sayBulk(r.encoding(r.args[2], e))
	}
}

// Limits up to which Redis packs a value tightly, by default. Past them OBJECT ENCODING tells another word.
const (
	packedString  = 44
	packedSet     = 512
	packedEntries = 512
	packedMembers = 128
	packedElement = 64
)

// encoding is the word for how Redis would hold such a value. It may have held it otherwise before, which Redis remembers.
func (r *run) encoding(key []byte, e keyspace.Entry) string {
	packed := true
	short := func(s string) bool {
		packed = packed && len(s) <= packedElement
		return packed
	}
	switch e.Kind() {
	case keyspace.String:
		if _, ok := resp.Integer([]byte(e.Value())); ok {
			return "int"
		}
		if len(e.Value()) <= packedString {
			return "embstr"
		}
		return "raw"
	case keyspace.List:
		return "quicklist"
	case keyspace.Set:
		s, _ := r.db.Set(key)
		packed = s.Len() <= packedSet
		s.Names(func(m string) bool {
			_, err := strconv.ParseInt(m, 10, 64)
			packed = packed && err == nil
			return packed
		})
		if packed {
			return "intset"
		}
	case keyspace.Hash:
		h, _ := r.db.Hash(key)
		packed = h.Len() <= packedEntries
		h.Each(func(f, v string) bool { return short(f) && short(v) })
	default:
		z, _ := r.db.ZSet(key)
		packed = z.Len() <= packedMembers
		z.Range(0, packedMembers, false, func(m keyspace.Member) { short(m.Name) })
		if !packed {
			return "skiplist"
		}
	}
	if packed {
		return "listpack"
	}
	return "hashtable"
}
