package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// A form is the way values of a type are written; forms up to formBytes need no reflection.
type form uint8

const (
	formUnknown form = iota // of a Codec that does not come from For
	formBool
	formInt
	formInt8
	formInt16
	formInt32
	formInt64
	formUint
	formUint8
	formUint16
	formUint32
	formUint64
	formFloat32
	formFloat64
	formString
	formBytes
	formEmpty // a struct without fields
	formOther
)

var forms = [...]form{
	reflect.Bool: formBool,
	reflect.Int:  formInt, reflect.Int8: formInt8, reflect.Int16: formInt16, reflect.Int32: formInt32, reflect.Int64: formInt64,
	reflect.Uint: formUint, reflect.Uint8: formUint8, reflect.Uint16: formUint16, reflect.Uint32: formUint32, reflect.Uint64: formUint64,
	reflect.Float32: formFloat32, reflect.Float64: formFloat64,
	reflect.String: formString, reflect.UnsafePointer: formUnknown,
}

func formOf(t reflect.Type) form {
	if hasOwnEncoding(t) {
		return formOther
	}
	switch k := t.Kind(); {
	case k == reflect.Struct && t.NumField() == 0:
		return formEmpty
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return formBytes
	case forms[k] != formUnknown:
		return forms[k]
	}
	return formOther
}

// A Codec reads and writes values of one type. It comes from For; it may be copied and used by any number of
// goroutines.
type Codec[T any] struct {
	form  form
	other *other[T] // for formOther
}

// For returns the Codec of T, having decided once how its values are written.
func For[T any]() Codec[T] {
	t := reflect.TypeFor[T]()
	c := Codec[T]{form: formOf(t)}
	if c.form == formOther {
		c.other = newOther[T](t)
	}
	return c
}

// as reads v as a U. The two have the same representation: T is U, or a type defined as U.
func as[U, T any](v *T) U { return *(*U)(unsafe.Pointer(v)) }

// Append appends the encoding of v to dst. On an error it returns dst as it was.
func (c Codec[T]) Append(dst []byte, v T) ([]byte, error) {
	switch c.form {
	case formBool:
		return appendBool(dst, as[bool](&v)), nil
	case formInt:
		return appendInt(dst, int64(as[int](&v))), nil
	case formInt8:
		return appendInt(dst, int64(as[int8](&v))), nil
	case formInt16:
		return appendInt(dst, int64(as[int16](&v))), nil
	case formInt32:
		return appendInt(dst, int64(as[int32](&v))), nil
	case formInt64:
		return appendInt(dst, as[int64](&v)), nil
	case formUint:
		return appendUint(dst, uint64(as[uint](&v))), nil
	case formUint8:
		return appendUint(dst, uint64(as[uint8](&v))), nil
	case formUint16:
		return appendUint(dst, uint64(as[uint16](&v))), nil
	case formUint32:
		return appendUint(dst, uint64(as[uint32](&v))), nil
	case formUint64:
		return appendUint(dst, as[uint64](&v)), nil
	case formFloat32:
		return appendFloat32(dst, as[float32](&v)), nil
	case formFloat64:
		return appendFloat64(dst, as[float64](&v)), nil
	case formString:
		if s := as[string](&v); !tooLong(len(s)) {
			return appendString(dst, s), nil
		}
	case formBytes:
		if b := as[[]byte](&v); !tooLong(len(b)) {
			return appendBytes(dst, b), nil
		}
	case formEmpty:
		return append(dst, fixMap), nil
	case formOther:
		return c.other.append(dst, v)
	default:
		return For[T]().Append(dst, v)
	}
	return dst, errLong
}

var errLong = errors.New("cannot encode more than 4 GiB as one value")

// Decode reads the value b begins with and returns it and what follows. It does not keep b.
func (c Codec[T]) Decode(b []byte) (v T, rest []byte, err error) {
	v, rest, err = c.View(b)
	if err == nil {
		v = c.Own(v)
	}
	return v, rest, err
}

// View is Decode without the copy of a string or byte slice: the value may alias b until it is passed to Own.
func (c Codec[T]) View(b []byte) (v T, rest []byte, err error) {
	p := unsafe.Pointer(&v)
	switch c.form {
	case formBool:
		*(*bool)(p), rest, err = readBool(b)
	case formInt:
		rest, err = readSigned(b, (*int)(p))
	case formInt8:
		rest, err = readSigned(b, (*int8)(p))
	case formInt16:
		rest, err = readSigned(b, (*int16)(p))
	case formInt32:
		rest, err = readSigned(b, (*int32)(p))
	case formInt64:
		rest, err = readSigned(b, (*int64)(p))
	case formUint:
		rest, err = readUnsigned(b, (*uint)(p))
	case formUint8:
		rest, err = readUnsigned(b, (*uint8)(p))
	case formUint16:
		rest, err = readUnsigned(b, (*uint16)(p))
	case formUint32:
		rest, err = readUnsigned(b, (*uint32)(p))
	case formUint64:
		rest, err = readUnsigned(b, (*uint64)(p))
	case formFloat32:
		*(*float32)(p), rest, err = readFloat32(b)
	case formFloat64:
		*(*float64)(p), rest, err = readFloat64(b)
	case formString:
		var s []byte
		s, rest, err = readBytes(b)
		*(*string)(p) = unsafe.String(unsafe.SliceData(s), len(s))
	case formBytes:
		*(*[]byte)(p), rest, err = readBytes(b)
	case formEmpty:
		rest, err = readEmpty(b)
	case formOther:
		return c.other.decode(b)
	default:
		return For[T]().View(b)
	}
	return v, rest, err
}

// Own returns a copy of a value from View that shares nothing with the bytes it was read from.
func (c Codec[T]) Own(v T) T {
	switch c.form {
	case formString:
		*(*string)(unsafe.Pointer(&v)) = strings.Clone(as[string](&v))
	case formBytes:
		if b := as[[]byte](&v); b != nil {
			*(*[]byte)(unsafe.Pointer(&v)) = append(make([]byte, 0, len(b)), b...)
		}
	}
	return v
}

func readSigned[I int | int8 | int16 | int32 | int64](b []byte, v *I) ([]byte, error) {
	n, rest, err := readInt(b, uint(unsafe.Sizeof(*v))*8)
	*v = I(n)
	return rest, err
}

func readUnsigned[U uint | uint8 | uint16 | uint32 | uint64](b []byte, v *U) ([]byte, error) {
	n, rest, err := readUint(b, uint(unsafe.Sizeof(*v))*8)
	*v = U(n)
	return rest, err
}

// readEmpty reads a struct of which no field is known.
func readEmpty(b []byte) ([]byte, error) {
	t, err := readToken(b)
	if err != nil {
		return nil, err
	}
	if b[0] != cNil && (b[0] < fixMap || b[0] >= fixArray) && b[0] != map16 && b[0] != map32 {
		return nil, unfit(b, "a struct")
	}
	if t.elements == 0 {
		return b[t.size:], nil
	}
	n, err := decodeOne(b, new(struct{}))
	if err != nil {
		return nil, err
	}
	return b[n:], nil
}

func describe(err error, verb string, t reflect.Type) error {
	return fmt.Errorf("cannot %s a %v: %w", verb, t, err)
}
