package codec_test

import (
	"bytes"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// targets returns one pointer to each type that hostile input is decoded into.
func targets() []any {
	return []any{
		new(bool), new(int8), new(int64), new(uint16), new(float32), new(float64), new(string), new([]byte), new(name), new(blob),
		new(empty), new(transfer), new(*transfer), new([]transfer), new([]any), new([]string), new([][]byte), new([3]int), new([8]byte),
		new(map[string]any), new(map[string]string), new(map[string]bool), new(map[any]any), new(map[int64][]transfer), new(map[string]map[string]any), new(any),
		new(nested), new(chain), new(point), new(*point), new(colour), new(half), new(msgpack.RawMessage), new(error),
		new(struct{ E, F error }), new(struct {
			A any `msgpack:",intern"`
			B string
		}),
	}
}

// attacks are inputs that make msgpack/v5 allocate gigabytes, recurse until the stack is gone, or panic.
func attacks() map[string][]byte {
	deep := func(b ...byte) []byte { return bytes.Repeat(b, 1<<20) }
	huge := []byte{0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return map[string][]byte{
		"array of 2^32 values":                              {0xdd, 0xff, 0xff, 0xff, 0xff, 1},
		"array of 65535 values":                             {0xdc, 0xff, 0xff, 1},
		"map of 2^32 entries":                               huge,
		"string of 4 GiB":                                   {0xdb, 0xff, 0xff, 0xff, 0xff, 'x'},
		"bytes of 4 GiB":                                    {0xc6, 0xff, 0xff, 0xff, 0xff, 'x'},
		"extension of 4 GiB":                                {0xc9, 0xff, 0xff, 0xff, 0xff, 1, 1},
		"huge map inside an extension":                      append([]byte{0xd8, 0xff}, huge...),
		"huge map inside a long extension":                  append([]byte{0xc7, 16, 5}, huge...),
		"huge map inside an interned string":                {0xd4, 0x80, 0xdf, 0x7f, 0x7f, 0x7f, 0x7f},
		"huge map inside a nested extension":                append([]byte{0xc7, 19, 5, 0xc7, 16, 5}, huge...),
		"huge map in an extension in a map in an extension": append([]byte{0xc7, 20, 5, 0x81, 0xa0, 0xd8, 0xff}, huge...),
		"huge array in a map in an extension":               {0xc7, 8, 5, 0x81, 0xa0, 0xdd, 0xff, 0xff, 0xff, 0xff, 0},
		"huge array in a field":                             {0x81, 0xa4, 'T', 'a', 'g', 's', 0xdd, 0xff, 0xff, 0xff, 0xff},
		"a million nested arrays":                           deep(0x91),
		"a million nested maps":                             deep(0x81, 0xa0),
		"a million nested links":                            deep(0x81, 0xa4, 'N', 'e', 'x', 't'),
		"a million nested extensions":                       deep(0xc9, 0, 0x0f, 0xff, 0xff, 5),
		"a map with a map as its key":                       {0x81, 0x81, 1, 2, 3},
		"a number for an error":                             {0x81, 0xa1, 'E', 1},
		"nil for a type with methods":                       {0xc0},
		"a struct as an array of another length":            {0x92, 1, 2},
	}
}

// Not parallel: it measures what the process allocates.
func TestHostileInputNeitherPanicsNorAllocatesBeyondItsSize(t *testing.T) {
	for name, attack := range attacks() {
		for _, v := range targets() {
			_ = codec.Decode(attack, v) // once before, so that what a type costs for ever is not counted
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := codec.Decode(attack, v)
			runtime.ReadMemStats(&after)
			allowed := uint64(200*len(attack) + 64<<10)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, allowed, "%s into a %T (%v)", name, v, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(attacks())) {
		attack := attacks()[name]
		f.Add(attack[:min(len(attack), 1<<10)])
	}
	for _, v := range []any{1, -1, 1.5, "text", []byte("bytes"), transfer{"ada", "bob", 5}, nested{}, map[string]any{"a": []any{1, nil}}} {
		b, err := codec.Append(nil, v)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, skipErr := codec.Skip(b)
		for _, v := range targets() {
			if codec.Decode(b, v) != nil {
				continue
			}
			require.NoError(t, skipErr, "a %T was read from what is no value", v)
			again, err := codec.Append(nil, v)
			if err != nil {
				continue // half of these types are refused by Check
			}
			_, err = codec.Skip(again)
			require.NoError(t, err, "a %T cannot be sent on", v)
		}
		fuzzCodec[int16](t, b)
		fuzzCodec[uint64](t, b)
		fuzzCodec[float64](t, b)
		fuzzCodec[name](t, b)
		fuzzCodec[[]byte](t, b)
		fuzzCodec[empty](t, b)
		fuzzCodec[map[string]transfer](t, b)
		fuzzCodec[*point](t, b)
	})
}

// fuzzCodec checks that a codec which accepts b reads what msgpack/v5 reads, and can write it.
func fuzzCodec[T any](t *testing.T, b []byte) {
	c := codec.For[T]()
	v, rest, err := c.Decode(b)
	if err != nil {
		return
	}
	var theirs T
	_, isFloat := any(theirs).(float64)
	mistaken := isFloat && b[0] == 0xcf // msgpack/v5 reads 2^63 and more as a negative float
	if !mistaken && !hasMsgpMethods(theirs, &theirs) {
		require.NoError(t, msgpack.Unmarshal(b[:len(b)-len(rest)], &theirs))
		requireSame(t, theirs, v, "msgpack/v5 reads another value")
	}
	again, err := c.Append(nil, v)
	require.NoError(t, err)
	back, rest, err := c.Decode(again)
	require.NoError(t, err)
	require.Empty(t, rest)
	requireSame(t, v, back, "value changed on the way")
}

func FuzzSkip(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(attacks())) {
		attack := attacks()[name]
		f.Add(attack[:min(len(attack), 1<<10)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rest, err := codec.Skip(b)
		codec.Sum(b)
		if err != nil {
			return
		}
		theirs := bytes.NewReader(b)
		require.NoError(t, msgpack.NewDecoder(theirs).Skip())
		require.Equal(t, theirs.Len(), len(rest), "msgpack/v5 sees another end of the value")
	})
}
