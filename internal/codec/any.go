package codec

import (
	"reflect"
)

// Append appends the encoding of v to dst. On an error it returns dst as it was. A struct is better passed as a
// pointer, which saves a copy.
func Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, cNil), nil
	case bool:
		return appendBool(dst, v), nil
	case int:
		return appendInt(dst, int64(v)), nil
	case int32:
		return appendInt(dst, int64(v)), nil
	case int64:
		return appendInt(dst, v), nil
	case uint:
		return appendUint(dst, uint64(v)), nil
	case uint32:
		return appendUint(dst, uint64(v)), nil
	case uint64:
		return appendUint(dst, v), nil
	case float32:
		return appendFloat32(dst, v), nil
	case float64:
		return appendFloat64(dst, v), nil
	case string:
		return Codec[string]{form: formString}.Append(dst, v)
	case []byte:
		return Codec[[]byte]{form: formBytes}.Append(dst, v)
	}
	out, err := appendOther(dst, v)
	if err != nil {
		return dst, describe(err, "encode", reflect.TypeOf(v))
	}
	return out, nil
}

func appendOther(dst []byte, v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return append(dst, cNil), nil
		}
	} else {
		box := reflect.New(rv.Type()) // its methods, and those of its fields, may need an address
		box.Elem().Set(rv)
		v, rv = box.Interface(), box
	}
	if self, ok := v.(selfAppender); ok {
		return appendSelf(dst, self)
	}
	return appendReflected(dst, rv.Elem())
}

// Decode reads b, which is one value and nothing else, into what v, a pointer, points to. As with msgpack.Unmarshal,
// what is there already and is not in b stays: fields of a struct, keys of a map. It does not keep b.
func Decode(b []byte, v any) error {
	var rest []byte
	var err error
	switch v := v.(type) {
	case *bool:
		*v, rest, err = Codec[bool]{form: formBool}.Decode(b)
	case *int:
		*v, rest, err = Codec[int]{form: formInt}.Decode(b)
	case *int32:
		*v, rest, err = Codec[int32]{form: formInt32}.Decode(b)
	case *int64:
		*v, rest, err = Codec[int64]{form: formInt64}.Decode(b)
	case *uint:
		*v, rest, err = Codec[uint]{form: formUint}.Decode(b)
	case *uint32:
		*v, rest, err = Codec[uint32]{form: formUint32}.Decode(b)
	case *uint64:
		*v, rest, err = Codec[uint64]{form: formUint64}.Decode(b)
	case *float32:
		*v, rest, err = Codec[float32]{form: formFloat32}.Decode(b)
	case *float64:
		*v, rest, err = Codec[float64]{form: formFloat64}.Decode(b)
	case *string:
		*v, rest, err = Codec[string]{form: formString}.Decode(b)
	case *[]byte:
		*v, rest, err = Codec[[]byte]{form: formBytes}.Decode(b)
	default:
		return decodeAny(b, v)
	}
	if err == nil && len(rest) > 0 {
		err = ErrTrailing
	}
	return err
}

func decodeAny(b []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return describe(ErrType, "decode into", reflect.TypeOf(v))
	}
	n, err := decodeOne(b, v)
	if err == nil && n < len(b) {
		err = ErrTrailing
	}
	if err != nil {
		return describe(err, "decode", rv.Type().Elem())
	}
	return nil
}
