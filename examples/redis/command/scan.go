package command

import (
	"strconv"

	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// scanOptions are those of SCAN and its like.
type scanOptions struct {
	pattern, typ string // empty: all
	count        int
}

// cursor reads a cursor. It answers if that is none.
func (r *run) cursor(arg []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(arg), 10, 64)
	if err != nil {
		r.fail("ERR invalid cursor")
	}
	return n, err == nil
}

// parseScan reads the options. It answers if they cannot be. Only SCAN itself has a type.
func (r *run) parseScan(rest [][]byte, typed bool) (o scanOptions, ok bool) {
	o.count = 10
	for ; len(rest) > 0; rest = rest[2:] {
		switch {
		case len(rest) == 1:
			r.fail(errSyntax)
			return o, false
		case is(rest[0], "match"):
			o.pattern = string(rest[1])
		case is(rest[0], "count"):
			n, ok := r.integer(rest[1])
			if !ok {
				return o, false
			}
			if n < 1 {
				r.fail(errSyntax)
				return o, false
			}
			o.count = clamp(n)
		case is(rest[0], "type") && typed:
			o.typ = lower(rest[1])
		default:
			r.fail(errSyntax)
			return o, false
		}
	}
	return o, true
}

func (o *scanOptions) wants(name string) bool {
	return o.pattern == "" || o.pattern == "*" || match(o.pattern, name)
}

// sayScan answers where to go on, and the head of what was found: n replies follow.
func (r *run) sayScan(next uint64, n int) {
	r.sayArray(2)
	var buf [20]byte
	r.out = resp.AppendBulk(r.out, strconv.AppendUint(buf[:0], next, 10))
	r.sayArray(n)
}

func (r *run) scan() {
	cursor, ok := r.cursor(r.args[1])
	if !ok {
		return
	}
	o, ok := r.parseScan(r.args[2:], true)
	if !ok {
		return
	}
	var seen []string
	next := r.db.Scan(cursor, o.count, func(name string) { seen = append(seen, name) })
	found := seen[:0]
	for _, name := range seen {
		if e := r.db.Find([]byte(name)); e != "" && o.wants(name) && (o.typ == "" || o.typ == e.Kind().String()) {
			found = append(found, name)
		}
	}
	r.sayScan(next, len(found))
	for _, name := range found {
		r.sayBulk(name)
	}
}

func (r *run) sscan() {
	cursor, ok := r.cursor(r.args[2])
	if !ok {
		return
	}
	s, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	if !s.Exists() {
		r.sayScan(0, 0)
		return
	}
	o, ok := r.parseScan(r.args[3:], false)
	if !ok {
		return
	}
	var found []string
	next := s.Scan(cursor, o.count, o.collect(&found))
	r.sayScan(next, len(found))
	for _, m := range found {
		r.sayBulk(m)
	}
}

// collect adds to found what the options want.
func (o *scanOptions) collect(found *[]string) func(name string) {
	return func(name string) {
		if o.wants(name) {
			*found = append(*found, name)
		}
	}
}

func (r *run) hscan() {
	cursor, ok := r.cursor(r.args[2])
	if !ok {
		return
	}
	h, ok := r.hash(r.args[1])
	if !ok {
		return
	}
	if !h.Exists() {
		r.sayScan(0, 0)
		return
	}
	o, ok := r.parseScan(r.args[3:], false)
	if !ok {
		return
	}
	var found []string
	next := h.Scan(cursor, o.count, o.collect(&found))
	r.sayScan(next, 2*len(found))
	for _, f := range found {
		v, _ := h.Get([]byte(f))
		r.sayPair(f, v)
	}
}

func (r *run) zscan() {
	cursor, ok := r.cursor(r.args[2])
	if !ok {
		return
	}
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	if !z.Exists() {
		r.sayScan(0, 0)
		return
	}
	o, ok := r.parseScan(r.args[3:], false)
	if !ok {
		return
	}
	var found []string
	next := z.Scan(cursor, o.count, o.collect(&found))
	r.sayScan(next, 2*len(found))
	for _, m := range found {
		score, _ := z.Score([]byte(m))
		r.sayBulk(m)
		r.sayFloat(score)
	}
}
