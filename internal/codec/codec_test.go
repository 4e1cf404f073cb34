package codec_test

import (
	"math"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// roundTrip checks the promises of one type with values from gen: what was appended comes back, ends where it should,
// leaves dst alone, is read in the same way by msgpack/v5, and is the same from the functions that take an any.
func roundTrip[T any](name string, gen *rapid.Generator[T]) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		c := codec.For[T]()
		rapid.Check(t, func(t *rapid.T) {
			v := gen.Draw(t, name)
			tail := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "tail")
			b, err := c.Append([]byte("before"), v)
			require.NoError(t, err)
			require.Equal(t, "before", string(b[:6]))
			b = b[6:]

			got, rest, err := c.Decode(append(b[:len(b):len(b)], tail...))
			require.NoError(t, err, "what Append wrote must be readable")
			requireSame(t, v, got, "value changed on the way")
			require.Equal(t, string(tail), string(rest), "value must end where it ends")

			rest, err = codec.Skip(b)
			require.NoError(t, err)
			require.Empty(t, rest)

			var theirs T
			if !hasMsgpMethods(theirs, &theirs) {
				require.NoError(t, msgpack.Unmarshal(b, &theirs))
				requireSame(t, theirs, got, "msgpack/v5 reads another value")
			}

			viaAny, err := codec.Append(nil, v)
			require.NoError(t, err)
			var fromAny T
			require.NoError(t, codec.Decode(viaAny, &fromAny))
			requireSame(t, v, fromAny, "value changed on the way through any")

			for cut := range b {
				_, _, err := c.Decode(b[:cut])
				require.Error(t, err, "the first %d of %d bytes are no value", cut, len(b))
			}
		})
	}
}

// hasMsgpMethods reports whether a type is one that msgpack/v5 does not know how to read.
func hasMsgpMethods(value, pointer any) bool {
	_, own := value.(interface{ UnmarshalMsg([]byte) ([]byte, error) })
	if !own {
		_, own = pointer.(interface{ UnmarshalMsg([]byte) ([]byte, error) })
	}
	return own
}

// requireSame compares like require.Equal, except that NaN equals itself and that an instant has no location.
func requireSame[T any](t require.TestingT, want, got T, msg string) {
	switch w := any(want).(type) {
	case float64:
		require.Equal(t, math.Float64bits(w), math.Float64bits(any(got).(float64)), msg)
	case time.Time:
		require.True(t, w.Equal(any(got).(time.Time)), msg)
	default:
		require.Equal(t, want, got, msg)
	}
}

func TestEveryValueArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	t.Run("bool", roundTrip("v", rapid.Bool()))
	t.Run("int", roundTrip("v", rapid.Int()))
	t.Run("int8", roundTrip("v", rapid.Int8()))
	t.Run("int16", roundTrip("v", rapid.Int16()))
	t.Run("int32", roundTrip("v", rapid.Int32()))
	t.Run("int64", roundTrip("v", rapid.Int64()))
	t.Run("uint", roundTrip("v", rapid.Uint()))
	t.Run("uint8", roundTrip("v", rapid.Uint8()))
	t.Run("uint16", roundTrip("v", rapid.Uint16()))
	t.Run("uint32", roundTrip("v", rapid.Uint32()))
	t.Run("uint64", roundTrip("v", rapid.Uint64()))
	t.Run("float32", roundTrip("v", rapid.Float32()))
	t.Run("float64", roundTrip("v", rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(-1)))))
	t.Run("string", roundTrip("v", rapid.OneOf(rapid.String(), rapid.StringN(0, 70000, 70000))))
	t.Run("bytes", roundTrip("v", rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Just([]byte(nil)))))
	t.Run("named string", roundTrip("v", rapid.Map(rapid.String(), func(s string) name { return name(s) })))
	t.Run("named bytes", roundTrip("v", rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) blob { return b })))
	t.Run("named bool", roundTrip("v", rapid.Map(rapid.Bool(), func(b bool) flag { return flag(b) })))
	t.Run("named int8", roundTrip("v", rapid.Map(rapid.Int8(), func(i int8) level { return level(i) })))
	t.Run("named uint16", roundTrip("v", rapid.Map(rapid.Uint16(), func(i uint16) amount { return amount(i) })))
	t.Run("named float32", roundTrip("v", rapid.Map(rapid.Float32(), func(f float32) ratio { return ratio(f) })))
	t.Run("duration", roundTrip("v", rapid.Map(rapid.Int64(), func(i int64) time.Duration { return time.Duration(i) })))
	t.Run("empty struct", roundTrip("v", rapid.Just(empty{})))
	t.Run("struct", roundTrip("v", transfers()))
	t.Run("pointer", roundTrip("v", rapid.Ptr(transfers(), true)))
	t.Run("slice", roundTrip("v", rapid.SliceOf(transfers())))
	t.Run("map", roundTrip("v", rapid.MapOf(rapid.String(), transfers())))
	t.Run("array", roundTrip("v", rapid.Just([4]byte{1, 2, 3, 4})))
	t.Run("text methods", roundTrip("v", rapid.Map(rapid.IntRange(0, 9), func(i int) colour { return colour(i) })))
	t.Run("msgp methods", roundTrip("v", points()))
	t.Run("pointer with msgp methods", roundTrip("v", rapid.Ptr(points(), true)))
	t.Run("time", roundTrip("v", rapid.Map(rapid.Int64Range(-1<<33, 1<<33), func(s int64) time.Time { return time.Unix(s, s&0xfffffff) })))
	t.Run("address", roundTrip("v", rapid.Map(rapid.Uint32(), func(i uint32) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)})
	})))
}

func transfers() *rapid.Generator[transfer] {
	return rapid.Custom(func(t *rapid.T) transfer {
		return transfer{rapid.String().Draw(t, "from"), rapid.String().Draw(t, "to"), rapid.Int64().Draw(t, "amount")}
	})
}

func points() *rapid.Generator[point] {
	return rapid.Custom(func(t *rapid.T) point {
		return point{rapid.Uint32().Draw(t, "x"), rapid.Uint32().Draw(t, "y")}
	})
}

func TestStructOfEverythingArrives(t *testing.T) {
	t.Parallel()
	want := nested{
		ID: 1 << 60, Tags: []string{"a", ""}, Balances: map[string]int64{"ada": -5},
		Next: &nested{Tags: []string{}, Raw: msgpack.RawMessage{0xa0}},
		When: time.Unix(1700000000, 935329792), // an extension whose body begins like a huge map
		Addr: netip.MustParseAddr("::1"), Raw: msgpack.RawMessage{0x92, 1, 2}, Any: map[string]any{"n": int64(7)},
	}
	want.Big.SetString("123456789012345678901234567890", 10)
	for _, v := range []any{want, &want} {
		b, err := codec.Append(nil, v)
		require.NoError(t, err)
		var got nested
		require.NoError(t, codec.Decode(b, &got))
		require.True(t, want.When.Equal(got.When))
		got.When, got.Next.When = want.When, want.Next.When
		require.Zero(t, new(big.Int).Sub(&want.Big, &got.Big).Sign())
		got.Big, got.Next.Big = want.Big, want.Next.Big
		require.Equal(t, want, got)
	}
}

func TestDecodedValueDoesNotShareTheInput(t *testing.T) {
	t.Parallel()
	b, err := codec.Append(nil, "text")
	require.NoError(t, err)
	s, _, err := codec.For[string]().Decode(b)
	require.NoError(t, err)
	raw, _, err := codec.For[[]byte]().Decode(b)
	require.NoError(t, err)
	clear(b)
	require.Equal(t, "text", s)
	require.Equal(t, "text", string(raw))
}

func TestViewIsOwnedOnlyAfterOwn(t *testing.T) {
	t.Parallel()
	c := codec.For[name]()
	b, err := c.Append(nil, "text")
	require.NoError(t, err)
	view, rest, err := c.View(b)
	require.NoError(t, err)
	require.Empty(t, rest)
	own := c.Own(view)
	copy(b[1:], "next")
	require.Equal(t, name("next"), view, "a view is the input itself")
	require.Equal(t, name("text"), own)
}

func TestZeroCodecWorks(t *testing.T) {
	t.Parallel()
	var c codec.Codec[transfer]
	want := transfer{"ada", "bob", 5}
	b, err := c.Append(nil, want)
	require.NoError(t, err)
	got, rest, err := c.Decode(b)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, want, got)
}

func TestNumbersOutOfRangeAreRefusedNotCutOff(t *testing.T) {
	t.Parallel()
	encode := func(v any) []byte {
		b, err := codec.Append(nil, v)
		require.NoError(t, err)
		return b
	}
	_, _, err := codec.For[uint8]().Decode(encode(256))
	require.ErrorIs(t, err, codec.ErrType)
	_, _, err = codec.For[level]().Decode(encode(-129))
	require.ErrorIs(t, err, codec.ErrType)
	_, _, err = codec.For[uint64]().Decode(encode(-1))
	require.ErrorIs(t, err, codec.ErrType)
	_, _, err = codec.For[int64]().Decode(encode(uint64(math.MaxUint64)))
	require.ErrorIs(t, err, codec.ErrType)
	_, _, err = codec.For[float32]().Decode(encode(1.5))
	require.ErrorIs(t, err, codec.ErrType)
	f, _, err := codec.For[float64]().Decode(encode(uint64(math.MaxUint64)))
	require.NoError(t, err, "other languages write a whole number as an integer")
	require.Equal(t, float64(math.MaxUint64), f)
}

func TestDecodeTakesExactlyOneValue(t *testing.T) {
	t.Parallel()
	var i int64
	require.ErrorIs(t, codec.Decode([]byte{1, 2}, &i), codec.ErrTrailing)
	require.ErrorIs(t, codec.Decode(nil, &i), codec.ErrTruncated)
	var s transfer
	require.ErrorIs(t, codec.Decode([]byte{0x80, 0x80}, &s), codec.ErrTrailing)
	require.ErrorIs(t, codec.Decode([]byte{0x81}, &s), codec.ErrTruncated)
	require.ErrorIs(t, codec.Decode([]byte{0x80}, s), codec.ErrType, "the target must be a pointer")
	require.ErrorIs(t, codec.Decode([]byte{0x80}, nil), codec.ErrType)
	require.ErrorIs(t, codec.Decode([]byte{0xc1}, &s), codec.ErrType, "0xc1 is never used")
	require.ErrorIs(t, codec.Decode([]byte{5}, new(idler)), codec.ErrTrailing, "its own method must read all of it")
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	t.Parallel()
	b, err := codec.Append(nil, map[string]any{"f": "ada", "new": []any{1, "x"}, "a": 3})
	require.NoError(t, err)
	var got transfer
	require.NoError(t, codec.Decode(b, &got))
	require.Equal(t, transfer{From: "ada", Amount: 3}, got)
	_, rest, err := codec.For[empty]().Decode(b)
	require.NoError(t, err)
	require.Empty(t, rest)
}

// What Append accepts Decode must give back: a method that writes something else than one value is found at once, not
// at the takeover.
func TestAppendRefusesWhatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	dst := []byte("before")
	for reason, v := range map[string]any{
		"no value":      &liar{},
		"two values":    &liar{[]byte{1, 2}},
		"half a value":  &liar{[]byte{0x92, 1}},
		"a channel":     struct{ C chan int }{make(chan int)},
		"too deep":      links(codec.MaxDepth + 1),
		"empty raw":     struct{ R msgpack.RawMessage }{msgpack.RawMessage{}},
		"not all of it": []any{1, struct{ F func() }{func() {}}},
	} {
		out, err := codec.Append(dst, v)
		require.Error(t, err, reason)
		require.Equal(t, "before", string(out), "dst must come back as it was: %s", reason)
	}
	_, err := codec.For[*liar]().Append(nil, &liar{})
	require.ErrorIs(t, err, codec.ErrTruncated)
	b, err := codec.Append(nil, links(codec.MaxDepth))
	require.NoError(t, err)
	var c chain
	require.NoError(t, codec.Decode(b, &c))
}

func TestSumIgnoresTheOrderOfMapsAndTheWidthOfNumbers(t *testing.T) {
	t.Parallel()
	one := []byte{0x82, 0xa1, 'a', 1, 0xa1, 'b', 2}
	two := []byte{0x82, 0xa1, 'b', 0xcc, 2, 0xa1, 'a', 0xd3, 0, 0, 0, 0, 0, 0, 0, 1}
	require.Equal(t, codec.Sum(one), codec.Sum(two))
	swapped := []byte{0x82, 0xa1, 'a', 2, 0xa1, 'b', 1}
	require.NotEqual(t, codec.Sum(one), codec.Sum(swapped))
	require.NotEqual(t, codec.Sum([]byte{0x92, 1, 2}), codec.Sum([]byte{0x92, 2, 1}), "the order of arrays counts")
	require.NotEqual(t, codec.Sum([]byte{0xff}), codec.Sum([]byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}), "-1 is not 2^64-1")
	require.NotEqual(t, codec.Sum([]byte{0xc1}), codec.Sum([]byte{0xc1, 0xc1}), "what is no value has a sum too")
}
