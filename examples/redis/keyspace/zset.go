package keyspace

import (
	"encoding/binary"
	"math"
	"sort"

	"github.com/tidwall/btree"
)

// scoreBag is the index of a sorted set: its members by score. A large one also has them by name, for Scan.
type scoreBag struct {
	tree  *btree.BTreeG[scored]
	names names // of all members, once there have been more than fewMembers
	skip  int
}

type scored struct {
	score float64
	key   string
}

// fewMembers is how many members a Scan returns at once, whatever its count; Redis does the same (zset-max-listpack-entries).
const fewMembers = 128

var _ bag = (*scoreBag)(nil)

func byScore(a, b scored) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	return a.key < b.key
}

func newScoreBag(skip int) *scoreBag { return &scoreBag{tree: newTree(byScore), skip: skip} }

func (b *scoreBag) change(key, old, now string, had, has bool) {
	if had {
		b.tree.Delete(scored{scoreOf(old), key})
	}
	if has {
		b.tree.Set(scored{scoreOf(now), key})
	}
	switch {
	case b.names.tree != nil:
		b.names.change(key, had, has)
	case b.tree.Len() > fewMembers:
		b.names = newNames(b.skip)
		b.tree.Scan(func(s scored) bool {
			b.names.change(s.key, false, true)
			return true
		})
	}
}

func (b *scoreBag) len() int { return b.tree.Len() }

func (b *scoreBag) first() string {
	s, _ := b.tree.Min()
	return s.key
}

func scoreOf(value string) float64 {
	return math.Float64frombits(number(value))
}

// Member is an element of a sorted set.
type Member struct {
	Name  string
	Score float64
}

// ZSetKey is a key that holds a sorted set, or none yet. Members are counted from 0, the lowest score first, and among equals
// by name.
type ZSetKey struct{ collection }

// ZSet opens a sorted set. The error is ErrWrongType.
func (d DB) ZSet(name []byte) (ZSetKey, error) {
	c, err := d.collection(name, ZSet)
	return ZSetKey{c}, err
}

func (z *ZSetKey) index() *scoreBag {
	if b, ok := z.bag().(*scoreBag); ok {
		return b
	}
	return newScoreBag(0)
}

// Score returns the score of a member.
func (z *ZSetKey) Score(name []byte) (score float64, found bool) {
	v, found := z.get(name)
	return scoreOf(v), found
}

// Put gives a member a score and reports whether the member is new. The score must be a number.
func (z *ZSetKey) Put(name []byte, score float64) bool {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], math.Float64bits(score))
	return z.put(name, string(b[:]))
}

// Remove removes a member and reports whether it was there.
func (z *ZSetKey) Remove(name []byte) bool { return z.remove(name) }

// At returns member i, which is there.
func (z *ZSetKey) At(i int) Member {
	b := z.index()
	s, _ := b.tree.GetAt(i)
	return Member{s.key[b.skip:], s.score}
}

// First returns the number of members before the first for which in holds. What holds for a member must hold for all behind it.
func (z *ZSetKey) First(in func(Member) bool) int {
	b := z.index()
	return sort.Search(b.len(), func(i int) bool {
		s, _ := b.tree.GetAt(i)
		return in(Member{s.key[b.skip:], s.score})
	})
}

// Rank returns the number of a member.
func (z *ZSetKey) Rank(name []byte) (rank int, score float64, found bool) {
	score, found = z.Score(name)
	if !found {
		return 0, 0, false
	}
	own := string(name)
	return z.First(func(m Member) bool { return m.Score > score || m.Score == score && m.Name >= own }), score, true
}

// Range calls yield with n members from member i on, fewer if there are no more. Backwards, it goes on with those before
// it. The set must not be changed meanwhile.
func (z *ZSetKey) Range(i, n int, backwards bool, yield func(Member)) {
	b := z.index()
	from, ok := b.tree.GetAt(i)
	if !ok || n <= 0 {
		return
	}
	walk := b.tree.Ascend
	if backwards {
		walk = b.tree.Descend
	}
	walk(from, func(s scored) bool {
		yield(Member{s.key[b.skip:], s.score})
		n--
		return n > 0
	})
}

// Scan is DB.Scan for the members. A set that has never been large comes all at once.
func (z *ZSetKey) Scan(cursor uint64, count int, yield func(name string)) (next uint64) {
	b := z.index()
	if b.len() > fewMembers {
		return b.names.scan(cursor, count, yield)
	}
	b.tree.Scan(func(s scored) bool {
		yield(s.key[b.skip:])
		return true
	})
	return 0
}
