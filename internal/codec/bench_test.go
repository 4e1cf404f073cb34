package codec_test

import (
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

func benchAppend[T any](v T) func(*testing.B) {
	return func(b *testing.B) {
		c := codec.For[T]()
		buf := make([]byte, 0, 256)
		b.ReportAllocs()
		for b.Loop() {
			out, err := c.Append(buf, v)
			if err != nil || len(out) == 0 {
				b.Fatal(err)
			}
		}
	}
}

func benchDecode[T any](v T) func(*testing.B) {
	return func(b *testing.B) {
		c := codec.For[T]()
		buf, err := c.Append(nil, v)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := c.Decode(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	b.Run("int64", benchAppend(int64(123456)))
	b.Run("string", benchAppend("account-00017"))
	b.Run("struct", benchAppend(transfer{"ada", "bob", 5}))
	b.Run("MarshalMsg", benchAppend(point{1, 2}))
	b.Run("any/struct pointer", func(b *testing.B) {
		v, buf := &transfer{"ada", "bob", 5}, make([]byte, 0, 256)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := codec.Append(buf, v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("msgpack.Marshal struct", func(b *testing.B) {
		v := &transfer{"ada", "bob", 5}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := msgpack.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.Run("int64", benchDecode(int64(123456)))
	b.Run("string", benchDecode("account-00017"))
	b.Run("struct", benchDecode(transfer{"ada", "bob", 5}))
	b.Run("MarshalMsg", benchDecode(point{1, 2}))
	b.Run("msgpack.Unmarshal struct", func(b *testing.B) {
		buf, err := msgpack.Marshal(&transfer{"ada", "bob", 5})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			var v transfer
			if err := msgpack.Unmarshal(buf, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
