package codec_test

import (
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

type sealed struct{ balance int64 }

var _ = sealed{balance: 1}

func TestCheckFindsTypesThatWouldNotArrive(t *testing.T) {
	t.Parallel()
	good := []reflect.Type{
		reflect.TypeFor[int](), reflect.TypeFor[name](), reflect.TypeFor[empty](), reflect.TypeFor[nested](),
		reflect.TypeFor[*point](), reflect.TypeFor[point](), reflect.TypeFor[time.Time](), reflect.TypeFor[netip.AddrPort](),
		reflect.TypeFor[big.Int](), reflect.TypeFor[url.URL](), reflect.TypeFor[chain](), reflect.TypeFor[colour](),
		reflect.TypeFor[map[string][]any](), reflect.TypeFor[error](), reflect.TypeFor[msgpack.RawMessage](),
		reflect.TypeFor[struct {
			A     int
			cache sealed `msgpack:"-"`
			_     [8]byte
			transfer
		}](),
	}
	for _, typ := range good {
		require.NoError(t, codec.Check(typ), "%v", typ)
	}
	bad := map[reflect.Type]string{
		reflect.TypeFor[sealed]():                       "codec_test.sealed.balance is not exported and would be lost",
		reflect.TypeFor[[]map[int]*sealed]():            "codec_test.sealed.balance is not exported",
		reflect.TypeFor[struct{ In struct{ b int } }](): ".In.b is not exported",
		reflect.TypeFor[chan int]():                     "chan int is a chan, which has no encoding",
		reflect.TypeFor[struct{ F func() }]():           ".F is a func",
		reflect.TypeFor[map[uintptr]int]():              "is a uintptr",
		reflect.TypeFor[map[string]reflect.Type]():      "is an interface: its dynamic type would be lost",
		reflect.TypeFor[half]():                         "is written by MarshalBinary but would be read by no method of its own",
		reflect.TypeFor[struct{ *transfer }]():          "transfer is not exported",
	}
	for typ, want := range bad {
		require.ErrorContains(t, codec.Check(typ), want, "%v", typ)
	}
}
