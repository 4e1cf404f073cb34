package codec_test

import (
	"encoding/binary"
	"errors"
	"math/big"
	"net/netip"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// Types of every kind that the package treats in its own way.
type (
	name   string
	blob   []byte
	flag   bool
	level  int8
	amount uint16
	ratio  float32
	empty  struct{}

	transfer struct {
		From   string `msgpack:"f"`
		To     string `msgpack:"t"`
		Amount int64  `msgpack:"a"`
	}

	nested struct {
		ID       uint64
		Tags     []string
		Balances map[string]int64
		Next     *nested
		When     time.Time
		Addr     netip.Addr
		Big      big.Int // encodes itself, through methods of its pointer
		Raw      msgpack.RawMessage
		Any      any
	}
)

// colour is a number that encodes itself as text, so its kind must not decide.
type colour int

func (c colour) MarshalText() ([]byte, error) { return []byte{'#', byte('0' + c)}, nil }
func (c *colour) UnmarshalText(b []byte) error {
	if len(b) != 2 {
		return errors.New("not a colour")
	}
	*c = colour(b[1] - '0')
	return nil
}

// point has the methods that msgp generates.
type point struct{ X, Y uint32 }

func (p *point) MarshalMsg(b []byte) ([]byte, error) {
	b = append(b, 0xc4, 8)
	b = binary.LittleEndian.AppendUint32(b, p.X)
	return binary.LittleEndian.AppendUint32(b, p.Y), nil
}

func (p *point) UnmarshalMsg(b []byte) ([]byte, error) {
	if len(b) < 10 || b[0] != 0xc4 || b[1] != 8 {
		return nil, errors.New("not a point")
	}
	p.X, p.Y = binary.LittleEndian.Uint32(b[2:]), binary.LittleEndian.Uint32(b[6:])
	return b[10:], nil
}

// liar claims to have written one value.
type liar struct{ out []byte }

func (l *liar) MarshalMsg(b []byte) ([]byte, error)     { return append(b, l.out...), nil }
func (l *liar) UnmarshalMsg(b []byte) ([]byte, error)   { return nil, nil }
func (l *liar) EncodeMsgpack(e *msgpack.Encoder) error  { return errors.New("not to be called") }
func (l *liar) DecodeMsgpack(d *msgpack.Decoder) error  { return errors.New("not to be called") }
func (l *liar) UnmarshalBinary(data []byte) (err error) { return nil }

// idler reads nothing of what it wrote.
type idler struct{}

func (idler) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(5) }
func (idler) DecodeMsgpack(*msgpack.Decoder) error   { return nil }

// half can only encode itself.
type half struct{ A int }

func (half) MarshalBinary() ([]byte, error) { return []byte("half"), nil }

// chain nests one level with each link.
type chain struct{ Next *chain }

func links(n int) *chain {
	var c *chain
	for range n {
		c = &chain{c}
	}
	return c
}
