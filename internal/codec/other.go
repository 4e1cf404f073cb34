package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// Types that github.com/tinylib/msgp has generated code for have these methods.
type (
	selfAppender interface {
		MarshalMsg(b []byte) ([]byte, error)
	}
	selfDecoder interface {
		UnmarshalMsg(b []byte) ([]byte, error)
	}
)

// other handles the types that need methods or reflection. These want a pointer to the value: boxes saves its
// allocation for each one.
type other[T any] struct {
	typ     reflect.Type
	pointer bool // T is a pointer, its own methods count
	boxes   sync.Pool
}

func newOther[T any](t reflect.Type) *other[T] {
	return &other[T]{typ: t, pointer: t.Kind() == reflect.Pointer, boxes: sync.Pool{New: func() any { return new(T) }}}
}

func (o *other[T]) append(dst []byte, v T) (out []byte, err error) {
	box := o.boxes.Get().(*T)
	*box = v
	var self selfAppender
	if o.pointer {
		self, _ = any(v).(selfAppender)
		if self != nil && reflect.ValueOf(v).IsNil() {
			self = nil // msgpack/v5 writes nil
		}
	} else {
		self, _ = any(box).(selfAppender)
	}
	if self != nil {
		out, err = appendSelf(dst, self)
	} else {
		out, err = appendReflected(dst, reflect.ValueOf(box).Elem())
	}
	var zero T
	*box = zero // so that the pool keeps nothing of v alive
	o.boxes.Put(box)
	if err != nil {
		return dst, describe(err, "encode", o.typ)
	}
	return out, nil
}

func (o *other[T]) decode(b []byte) (v T, rest []byte, err error) {
	box := o.boxes.Get().(*T)
	n, err := decodeOne(b, box)
	v = *box
	var zero T
	*box = zero
	o.boxes.Put(box)
	if err != nil {
		return zero, nil, describe(err, "decode", o.typ)
	}
	return v, b[n:], nil
}

func appendSelf(dst []byte, v selfAppender) ([]byte, error) {
	out, err := v.MarshalMsg(dst)
	if err != nil {
		return nil, err
	}
	return out, verify(dst, out)
}

// verify proves that what another package appended to dst can be read back.
func verify(dst, out []byte) error {
	if len(out) < len(dst) {
		return errors.New("MarshalMsg returned less than it was given")
	}
	rest, err := Skip(out[len(dst):])
	if err == nil && len(rest) > 0 {
		err = ErrTrailing
	}
	if err != nil {
		return fmt.Errorf("its encoding is no MessagePack value: %w", err)
	}
	return nil
}

// An encoder is a msgpack encoder that appends to a byte slice.
type encoder struct {
	*msgpack.Encoder
	b []byte
}

func (e *encoder) Write(p []byte) (int, error) {
	e.b = append(e.b, p...)
	return len(p), nil
}

func (e *encoder) WriteByte(c byte) error {
	e.b = append(e.b, c)
	return nil
}

var encoders = sync.Pool{New: func() any { return &encoder{Encoder: msgpack.NewEncoder(nil)} }}

// appendReflected has msgpack/v5 encode v, which is addressable, so that methods of its pointer type are found.
func appendReflected(dst []byte, v reflect.Value) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.b = dst
	e.Reset(e)
	err := e.EncodeValue(v)
	out := e.b
	e.b = nil
	if err != nil {
		return nil, err // and leave the encoder, in whatever state it is, to the collector
	}
	encoders.Put(e)
	return out, verify(dst, out)
}

type decoder struct {
	*msgpack.Decoder
	src source
}

var decoders = sync.Pool{New: func() any { return &decoder{Decoder: msgpack.NewDecoder(bytes.NewReader(nil))} }}

// decodeOne reads the first value of b into what p points to and returns its length.
func decodeOne(b []byte, p any) (n int, err error) {
	d := decoders.Get().(*decoder)
	n, err = skip(b, &d.src.traps)
	if err == nil {
		err = d.decode(b[:n], p)
	}
	d.src.b, d.src.at, d.src.traps = nil, 0, d.src.traps[:0]
	if err != nil {
		return 0, err // a decoder that failed may go on recording what it reads: not reused
	}
	decoders.Put(d)
	return n, nil
}

// decode reads b, which is one well-formed value. Only a type that does not fit can go wrong now, for which reflection
// has panics.
func (d *decoder) decode(b []byte, p any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: %w", r, ErrType)
		}
	}()
	if v := reflect.ValueOf(p).Elem(); v.Kind() == reflect.Pointer {
		if self, ok := v.Interface().(selfDecoder); ok && b[0] != cNil {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
				self = v.Interface().(selfDecoder)
			}
			return decodeSelf(b, self)
		}
	}
	if self, ok := p.(selfDecoder); ok {
		return decodeSelf(b, self)
	}
	d.src.b = b
	d.Reset(&d.src)
	if err := d.Decode(p); err != nil {
		return fmt.Errorf("%w: %w", ErrType, err)
	}
	if d.src.at != len(b) {
		return ErrTrailing
	}
	return nil
}

func decodeSelf(b []byte, v selfDecoder) error {
	rest, err := v.UnmarshalMsg(b)
	if err == nil && len(rest) > 0 {
		err = ErrTrailing
	}
	return err
}
