package keyspace

import (
	"encoding/binary"
	"strings"

	"github.com/tidwall/btree"
)

// A watch is an entry of State.Watches. Its key is the connection (8 bytes), the database (1 byte) and the name.
const (
	watcherSize = 8
	watchHead   = watcherSize + 1
)

// watches is the index of what is watched, by connection and by key.
type watches struct {
	byConnection *btree.Set[string]
	byKey        *btree.BTreeG[string]
}

func newWatches() watches {
	return watches{new(btree.Set[string]), newTree(func(a, b string) bool {
		if n := strings.Compare(a[watcherSize:], b[watcherSize:]); n != 0 {
			return n < 0
		}
		return a < b
	})}
}

func (w watches) changed(key string, _, _, had, has bool) {
	switch {
	case len(key) < watchHead: // nothing that Watch has written
	case has && !had:
		w.byConnection.Insert(key)
		w.byKey.Set(key)
	case had && !has:
		w.byConnection.Delete(key)
		w.byKey.Delete(key)
	}
}

func (w watches) clear() {
	w.byConnection.Clear()
	w.byKey.Clear()
}

func (d DB) watchKey(connection uint64, name []byte) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, watchHead+len(name)), connection)
	return string(append(append(b, byte(d.n)), name...))
}

// Watch makes Unchanged of a connection tell whether a key is changed from now on.
func (d DB) Watch(connection uint64, name []byte) {
	d.Find(name) // that it has expired is no change any more
	k := d.watchKey(connection, name)
	if _, found := d.ks.Watches.Lookup(k); !found {
		d.ks.Watches.Set(k, false)
	}
}

// watched returns what a connection watches.
func (ks *Keyspace) watched(connection uint64) (keys []string) {
	if ks.Watches.Len() == 0 {
		return nil
	}
	prefix := lent(binary.BigEndian.AppendUint64(nil, connection))
	ks.watches.byConnection.Ascend(prefix, func(k string) bool {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
			return true
		}
		return false
	})
	return keys
}

// Unchanged reports whether nothing that a connection watches was changed, nor has expired meanwhile.
func (ks *Keyspace) Unchanged(connection uint64) bool {
	for _, k := range ks.watched(connection) {
		ks.DB(int(k[watcherSize])).Find([]byte(k[watchHead:]))
		if ks.Watches.Get(k) {
			return false
		}
	}
	return true
}

// Unwatch forgets what a connection watches.
func (ks *Keyspace) Unwatch(connection uint64) {
	for _, k := range ks.watched(connection) {
		ks.Watches.Delete(k)
	}
}

// touch tells those who watch a key that it is changed.
func (d DB) touch(name []byte) {
	if d.ks.Watches.Len() > 0 {
		target := d.watchKey(0, name)
		d.tell(target, func(k string) bool { return k[watcherSize:] == target[watcherSize:] }, func(string) bool { return true })
	}
}

// touchAll tells those who watch any key of the database that is there.
func (d DB) touchAll() {
	if d.ks.Watches.Len() > 0 {
		d.tell(d.watchKey(0, nil), func(k string) bool { return int(k[watcherSize]) == d.n }, func(name string) bool { return d.Find([]byte(name)) != "" })
	}
}

// tell marks the watches of keys that are there, or were until now: those from one on, as long as in holds.
func (d DB) tell(from string, in func(key string) bool, there func(name string) bool) {
	d.ks.watches.byKey.Ascend(from, func(k string) bool {
		if !in(k) {
			return false
		}
		if !d.ks.Watches.Get(k) && there(k[watchHead:]) {
			d.ks.Watches.Set(k, true)
		}
		return true
	})
}
