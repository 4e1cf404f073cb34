package tracked

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkMapSet is one Set of a present key inside a call, its encoding and undo entry included.
func BenchmarkMapSet(b *testing.B) {
	s := NewStore()
	m := NewMap[string, int64](s, "accounts")
	keys := benchKeys(1000)
	for _, k := range keys {
		m.Set(k, 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100 == 0 {
			if i > 0 {
				s.Commit()
			}
			s.Begin()
		}
		m.Set(keys[i%len(keys)], int64(i))
	}
}

// BenchmarkCall is a whole call with one Set: Begin, Set, Changes, Commit.
func BenchmarkCall(b *testing.B) {
	s := NewStore()
	m := NewMap[string, int64](s, "accounts")
	keys := benchKeys(1000)
	for _, k := range keys {
		m.Set(k, 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Begin()
		m.Set(keys[i%len(keys)], int64(i))
		_ = s.Changes()
		s.Commit()
	}
}

func BenchmarkMapGet(b *testing.B) {
	m := NewMap[string, int64](NewStore(), "accounts")
	keys := benchKeys(1000)
	for _, k := range keys {
		m.Set(k, 0)
	}
	for i := 0; b.Loop(); i++ {
		m.Get(keys[i%len(keys)])
	}
}

// BenchmarkApply is the other member's part of one Set.
func BenchmarkApply(b *testing.B) {
	s, m := benchPair()
	other, _ := benchPair()
	s.Begin()
	m.Set("account-00500", 123456)
	changes := s.Changes()
	b.ReportAllocs()
	for b.Loop() {
		if err := other.Apply(changes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFill moves 64 MiB from one Store to another in chunks of 64 KiB.
func BenchmarkFill(b *testing.B) {
	const values, size = 64 << 10, 1 << 10
	s := NewStore()
	m := NewMap[string, []byte](s, "blobs")
	for _, k := range benchKeys(values) {
		m.Set(k, make([]byte, size))
	}
	s.Freeze()
	other := NewStore()
	NewMap[string, []byte](other, "blobs")
	chunk := make([]byte, 0, 80<<10)
	b.SetBytes(values * size)
	b.ReportAllocs()
	for b.Loop() {
		other.Reset()
		s.StartWalk()
		for s.Walking() {
			var err error
			chunk, _, err = s.NextChunk(chunk[:0], 64<<10)
			require.NoError(b, err)
			require.NoError(b, other.ApplyChunk(chunk))
		}
	}
}

func benchPair() (*Store, *Map[string, int64]) {
	s := NewStore()
	m := NewMap[string, int64](s, "accounts")
	for _, k := range benchKeys(1000) {
		m.Set(k, 0)
	}
	return s, m
}

func benchKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("account-%05d", i)
	}
	return keys
}
