package keyspace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tidwall/btree"

	"github.com/1fb4ed1c/tandem/tracked"
)

// Databases is how many there are, numbered from 0.
const Databases = 16

// ErrWrongType refuses an operation on a key that holds another kind of value.
var ErrWrongType = errors.New("operation against a key holding the wrong kind of value")

// State is the tracked state of a Keyspace.
type State struct {
	Keys     *tracked.Map[string, Entry]  // under the ID of the space and the name
	Elements *tracked.Map[string, string] // of collections, under their ID and what tells the element from others
	Spaces   *tracked.Map[uint64, uint64] // the space that a database is now, once it was flushed
	IDs      *tracked.Counter             // how many were given
	Trash    *tracked.Queue[uint64]       // IDs of spaces and collections that nobody can reach any more
	Watches  *tracked.Map[string, bool]   // what connections watch, and whether that was changed
}

// Keyspace is all databases of a server. It belongs to the goroutine that runs the calls.
type Keyspace struct {
	State
	now     int64 // of the call, in milliseconds since 1970
	spared  int   // how many elements this call may still remove at once
	stirred bool

	current   [Databases]uint64 // the space of each database
	spaces    map[uint64]*space
	bags      map[uint64]bag
	deadlines *btree.BTreeG[deadline]
	watches   watches

	keyBuf, elementBuf []byte // for keys to look up
}

// space is the index of one database.
type space struct {
	names
	expiring int // how many keys have a deadline
}

// Open returns the Keyspace over a state, which must not be running yet.
func Open(s State) *Keyspace {
	ks := &Keyspace{State: s, spaces: map[uint64]*space{}, bags: map[uint64]bag{}, deadlines: newTree(earlier), watches: newWatches()}
	for n := range ks.current {
		ks.current[n] = firstSpace(n)
	}
	s.Keys.Observe(ks.keyChanged, func() {
		clear(ks.spaces)
		ks.deadlines.Clear()
	})
	s.Elements.Observe(ks.elementChanged, func() { clear(ks.bags) })
	s.Spaces.Observe(ks.spaceChanged, func() {
		for n := range ks.current {
			ks.current[n] = firstSpace(n)
		}
	})
	s.Watches.Observe(ks.watches.changed, ks.watches.clear)
	return ks
}

// Begin tells the time of the call that begins.
func (ks *Keyspace) Begin(now time.Time) {
	ks.now, ks.spared = now.UnixMilli(), removedAtOnce
}

// Now returns the time of the call, in milliseconds since 1970.
func (ks *Keyspace) Now() int64 { return ks.now }

func firstSpace(n int) uint64 { return uint64(n) << kindBits }

func (ks *Keyspace) newID(k Kind) uint64 {
	return uint64(Databases-1+ks.IDs.Add(1))<<kindBits | uint64(k)
}

func (ks *Keyspace) spaceChanged(n, _, now uint64, _, has bool) {
	if !has {
		now = firstSpace(int(n))
	}
	ks.current[n] = now
}

// keyChanged keeps the indexes of keys.
func (ks *Keyspace) keyChanged(k string, old, now Entry, had, has bool) {
	before, after := old.Expire(), now.Expire()
	if had && has && before == after {
		return
	}
	id, size := idOf(k)
	sp := ks.spaces[id]
	if sp == nil {
		sp = &space{names: newNames(size)}
		ks.spaces[id] = sp
	}
	if before != after {
		if before != 0 {
			ks.deadlines.Delete(deadline{before, k})
			sp.expiring--
		}
		if after != 0 {
			ks.deadlines.Set(deadline{after, k})
			sp.expiring++
			ks.stirred = true
		}
	}
	sp.change(k, had, has)
	if sp.len() == 0 {
		delete(ks.spaces, id)
	}
}

// DB is one database during a call.
type DB struct {
	ks *Keyspace
	n  int
}

// DB returns database n.
func (ks *Keyspace) DB(n int) DB { return DB{ks, n} }

// key returns the tracked key of a name. It is valid until the next one is made.
func (d DB) key(name []byte) string {
	b := binary.AppendUvarint(d.ks.keyBuf[:0], d.ks.current[d.n])
	d.ks.keyBuf = append(b, name...)
	return lent(d.ks.keyBuf)
}

func (d DB) space() *space {
	if sp := d.ks.spaces[d.ks.current[d.n]]; sp != nil {
		return sp
	}
	return &space{names: newNames(0)}
}

// Len returns the number of keys.
func (d DB) Len() int {
	if sp := d.ks.spaces[d.ks.current[d.n]]; sp != nil {
		return sp.len()
	}
	return 0
}

// Expiring returns how many keys have a deadline.
func (d DB) Expiring() int { return d.space().expiring }

// Find returns what stands under a key; an Entry of None if there is nothing. A key that has expired is deleted.
func (d DB) Find(name []byte) Entry {
	k := d.key(name)
	e := d.ks.Keys.Get(k)
	if at := e.Expire(); at != 0 && d.ks.now > at {
		d.remove(name, k, e)
		return ""
	}
	return e
}

// put stores an entry under a key, which now holds old.
func (d DB) put(name []byte, old, e Entry) {
	k := d.key(name)
	if old == "" {
		k = strings.Clone(k)
	}
	d.ks.Keys.Set(k, e)
	d.touch(name)
}

// remove deletes the entry of a key, which is there. k must have been made for it.
func (d DB) remove(name []byte, k string, e Entry) {
	d.ks.Keys.Delete(k)
	d.touch(name)
	if e.Kind() > String {
		d.ks.discard(e.id())
	}
}

// Delete deletes a key and reports whether it was there.
func (d DB) Delete(name []byte) bool {
	e := d.Find(name)
	if e == "" {
		return false
	}
	d.remove(name, d.key(name), e)
	return true
}

// SetString makes a key hold a string that expires at a time, 0: never. What it held before, old, is gone.
func SetString[T ~string | ~[]byte](d DB, name []byte, old Entry, expire int64, value ...T) {
	d.put(name, old, stringEntry(expire, value...))
	if old.Kind() > String {
		d.ks.discard(old.id())
	}
}

// SetExpire changes when a key expires, which holds e; 0: never.
func (d DB) SetExpire(name []byte, e Entry, at int64) { d.put(name, e, e.expiring(at)) }

// Rename moves what stands under a key, which is there, to another one of the same database.
func (d DB) Rename(from, to []byte) {
	if bytes.Equal(from, to) {
		return
	}
	e, old := d.Find(from), d.Find(to)
	d.ks.Keys.Delete(d.key(from))
	d.touch(from)
	d.put(to, old, e)
	if old.Kind() > String {
		d.ks.discard(old.id())
	}
}

// Random returns the name of a key, each with the same chance.
func (d DB) Random(r *rand.Rand) (name string, ok bool) {
	for d.Len() > 0 {
		sp := d.space()
		name = sp.at(r.IntN(sp.len()))
		if d.Find([]byte(name)) != "" {
			return name, true
		}
	}
	return "", false
}

// Names calls yield with the name of every key, until it returns false. The keys must not be changed meanwhile.
func (d DB) Names(yield func(name string, e Entry) bool) {
	sp := d.space()
	sp.all(func(k string) bool {
		e := d.ks.Keys.Get(k)
		if at := e.Expire(); at != 0 && d.ks.now > at {
			return true
		}
		return yield(k[sp.skip:], e)
	})
}

// Scan calls yield with the names of about count keys from a cursor on, and returns the next cursor. It begins and ends
// with 0. A key that is there all the time is seen, whatever happens to others.
func (d DB) Scan(cursor uint64, count int, yield func(name string)) (next uint64) {
	return d.space().scan(cursor, count, yield)
}
