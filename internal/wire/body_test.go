package wire

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

func roundTrip[T any](body T) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		b, err := Marshal(&body)
		require.NoError(t, err)
		var got T
		require.NoError(t, Unmarshal(b, &got))
		require.Equal(t, body, got)

		byValue, err := Marshal(body)
		require.NoError(t, err)
		require.Equal(t, b, byValue)
	}
}

func TestEveryBodyArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	t.Run("hello", roundTrip(Hello{
		Role: RoleRequester, Name: "bank", Depth: 64, Window: 32, Instance: "c0ffee", Opener: 1, Cookie: math.MaxUint64, PID: 4711, Start: 99,
	}))
	t.Run("welcome", roundTrip(Welcome{Instance: "c0ffee", Epoch: math.MaxUint32, Opener: 3, Cookie: 4, Depth: 5, PID: 6}))
	t.Run("join", roundTrip(Join{Version: 1, PID: 2, Start: 3, Instance: "c0ffee", Spawned: true, Build: "1:2", Program: "/bin/x", Schema: []byte("s")}))
	t.Run("admit", roundTrip(Admit{Version: 8, Build: "1:2", Program: "/bin/x", Succeed: true, Instance: "c0ffee", Epoch: 1, Seq: 2, PID: 3, Start: 4,
		TIDs: []int{5, 6}, Openers: 7}))
	t.Run("joined", roundTrip(Joined{TIDs: []int{1, 2, 3}}))
	t.Run("zero", roundTrip(Hello{}))
}

func TestABodyOfANewerProgramIsUnderstood(t *testing.T) {
	t.Parallel()
	b, err := msgpack.Marshal(map[string]any{
		"tomorrow": map[string]any{"a": []int{1, 2}, "b": nil}, "name": "bank", "colour": "green",
	})
	require.NoError(t, err)
	var h Hello
	require.NoError(t, Unmarshal(b, &h))
	require.Equal(t, Hello{Name: "bank"}, h)
	for _, body := range []any{new(Welcome), new(Join), new(Admit), new(Joined)} {
		require.NoError(t, Unmarshal(b, body), "broken promise: a field that is not known is passed over; %T", body)
		require.Equal(t, reflect.New(reflect.TypeOf(body).Elem()).Interface(), body)
	}
}

// What an older program does not say is the zero value.
func TestABodyOfAnOlderProgramIsUnderstood(t *testing.T) {
	t.Parallel()
	b, err := msgpack.Marshal(map[string]any{"version": 1, "pid": 2, "start": 3, "instance": "c0ffee", "spawned": true})
	require.NoError(t, err)
	var j Join
	require.NoError(t, Unmarshal(b, &j))
	require.Equal(t, Join{Version: 1, PID: 2, Start: 3, Instance: "c0ffee", Spawned: true}, j)
}

// hostile bodies make lengths, depths and types that no honest sender makes.
func hostile() map[string][]byte {
	return map[string][]byte{
		"empty":                   {},
		"string of 4 GiB":         []byte("\x81\xa4name\xdb\xff\xff\xff\xff"),
		"field name of 4 GiB":     []byte("\x81\xdb\xff\xff\xff\xffname"),
		"bytes of 4 GiB":          []byte("\x81\xa4blob\xc6\xff\xff\xff\xff"),
		"map of 4 G entries":      []byte("\xdf\xff\xff\xff\xff\xa4name"),
		"array of 4 G elements":   []byte("\x81\xa4tids\xdd\xff\xff\xff\xff\x01"),
		"extension of 4 GiB":      []byte("\x81\xa4tids\xc9\xff\xff\xff\xff\x01"),
		"arrays in arrays":        append([]byte("\x81\xa1x"), bytes.Repeat([]byte{0x91}, 2*codec.MaxDepth)...),
		"never used code":         []byte("\x81\xa4name\xc1"),
		"text for a number":       []byte("\x81\xa5depth\xa3abc"),
		"cut":                     []byte("\x82\xa4name\xa4bank"),
		"bytes after its end":     []byte("\x80\x80"),
		"a number instead":        {7},
		"an array of wrong width": {0x91, 7},
	}
}

// Not parallel: it counts what the process allocates.
func TestAHostileBodyIsAnErrorAndCostsNoMoreThanItsLength(t *testing.T) {
	for name, b := range hostile() {
		for _, body := range []any{new(Hello), new(Welcome), new(Join), new(Admit), new(Joined)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := Unmarshal(b, body)
			runtime.ReadMemStats(&after)

			what := fmt.Sprintf("%s as %T", name, body)
			if name != "text for a number" { // not every body has that field
				require.ErrorContains(t, err, "cannot decode", what)
			}
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64*len(b)+64<<10), what)
		}
	}
}

func TestWhatCannotBeEncodedIsAnError(t *testing.T) {
	t.Parallel()
	_, err := Marshal(make(chan int))
	require.ErrorContains(t, err, "chan int")
}
