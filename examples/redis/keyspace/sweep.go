package keyspace

import "time"

// deadline is when a key expires.
type deadline struct {
	at  int64
	key string
}

func earlier(a, b deadline) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.key < b.key
}

const (
	// removedAtOnce is how many elements a call may remove of the collections it deletes. What is more becomes trash.
	removedAtOnce = 1024
	// smallCollection is how many elements a collection may have to be removed at once.
	smallCollection = 64
	// sweepSteps is how many keys and elements a Sweep removes: a fraction of a millisecond.
	sweepSteps = 512
	// sweepBytes bounds what a Sweep removes by the length of the keys, which the backup is told.
	sweepBytes = 64 << 10
	// sweepPause is the time between two sweeps while there is trash, in milliseconds.
	sweepPause = 1
)

// discard removes a collection that no key leads to any more.
func (ks *Keyspace) discard(id uint64) {
	b := ks.bags[id]
	if b == nil {
		return
	}
	if n := b.len(); n <= smallCollection && n <= ks.spared {
		ks.spared -= n
		for ; n > 0; n-- {
			ks.Elements.Delete(b.first())
		}
		return
	}
	ks.throwAway(id)
}

func (ks *Keyspace) throwAway(id uint64) {
	ks.Trash.Push(id)
	ks.stirred = true
}

// Flush deletes every key of the database.
func (d DB) Flush() {
	if d.Len() == 0 {
		return
	}
	d.touchAll()
	old := d.ks.current[d.n]
	d.ks.Spaces.Set(uint64(d.n), d.ks.newID(None))
	d.ks.throwAway(old)
}

// Due returns when Sweep should next run, in milliseconds since 1970; 0: never, unless a key is given a deadline.
func (ks *Keyspace) Due() int64 {
	if ks.Trash.Len() > 0 {
		return ks.now + sweepPause
	}
	if d, ok := ks.deadlines.Min(); ok {
		return max(d.at+1, ks.now+sweepPause)
	}
	return 0
}

// Stirred reports whether Due may have become earlier since it was last asked.
func (ks *Keyspace) Stirred() bool {
	was := ks.stirred
	ks.stirred = false
	return was
}

// Sweep removes some of the keys that have expired and some of the trash, in the call whose time was told to Begin.
func (ks *Keyspace) Sweep(now time.Time) {
	ks.Begin(now)
	steps, bytes := sweepSteps, sweepBytes
	for steps > 0 && bytes > 0 {
		d, ok := ks.deadlines.Min()
		if !ok || d.at >= ks.now {
			break
		}
		ks.expire(d.key)
		steps, bytes = steps-1, bytes-len(d.key)
	}
	for steps > 0 && bytes > 0 {
		id, ok := ks.Trash.Peek()
		if !ok {
			break
		}
		k, ok := ks.take(id)
		if !ok {
			ks.Trash.Pop()
		}
		steps, bytes = steps-1, bytes-len(k)
	}
}

// expire deletes a key that has expired.
func (ks *Keyspace) expire(key string) {
	id, size := idOf(key)
	for n, space := range ks.current {
		if space == id {
			ks.DB(n).Find([]byte(key[size:]))
			return
		}
	}
	ks.unlink(key) // in a space that is trash itself
}

// unlink deletes a key of a space that no database is any more.
func (ks *Keyspace) unlink(key string) {
	e := ks.Keys.Get(key)
	ks.Keys.Delete(key)
	if e.Kind() > String {
		ks.discard(e.id())
	}
}

// take removes one key of a space, or one element of a collection. It reports whether there was one.
func (ks *Keyspace) take(id uint64) (key string, ok bool) {
	if kindOf(id) != None {
		b := ks.bags[id]
		if b == nil {
			return "", false
		}
		key = b.first()
		ks.Elements.Delete(key)
		return key, true
	}
	sp := ks.spaces[id]
	if sp == nil {
		return "", false
	}
	key = sp.first()
	ks.unlink(key)
	return key, true
}
