package codec

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// ways lists, in the order in which msgpack/v5 looks for them, the pairs of methods by which a type encodes itself.
var ways = [...]struct{ encode, decode reflect.Type }{
	{reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder]()},
	{reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler]()},
	{reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()},
	{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()},
}

var msgpWay = [2]reflect.Type{reflect.TypeFor[selfAppender](), reflect.TypeFor[selfDecoder]()}

func has(t, method reflect.Type) bool {
	return t.Implements(method) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(method)
}

// hasOwnEncoding reports whether t has a method that makes it more than its kind.
func hasOwnEncoding(t reflect.Type) bool {
	for _, w := range ways {
		if has(t, w.encode) || has(t, w.decode) {
			return true
		}
	}
	return has(t, msgpWay[0]) || has(t, msgpWay[1])
}

// Check reports why values of type t would not arrive as they were sent: a struct field that is not exported and so
// would be dropped in silence, a channel or function, a type that can encode but not decode itself. A field that is
// meant to be left behind says so with the tag `msgpack:"-"`. The type any is let through, although what it holds
// arrives as one of the types of msgpack.Decoder.DecodeInterface: an int, for one, as the smallest that fits.
func Check(t reflect.Type) error {
	if enc, dec := has(t, msgpWay[0]), has(t, msgpWay[1]); enc != dec {
		return fmt.Errorf("%v has only one of the methods MarshalMsg and UnmarshalMsg", t)
	} else if enc {
		return nil
	}
	return check(t, t.String(), map[reflect.Type]bool{})
}

func check(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	seen[t] = true
	if own, err := checkMethods(t, path); own || err != nil {
		return err
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return check(t.Elem(), path, seen)
	case reflect.Map:
		if err := check(t.Key(), path, seen); err != nil {
			return err
		}
		return check(t.Elem(), path, seen)
	case reflect.Struct:
		return checkFields(t, path, seen)
	case reflect.Interface:
		if t.NumMethod() > 0 && t != reflect.TypeFor[error]() {
			return fmt.Errorf("%s is an interface: its dynamic type would be lost", path)
		}
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%s is a %v, which has no encoding", path, t.Kind())
	}
	return nil
}

// checkMethods reports whether t encodes itself, and an error when it could not decode what it encoded.
func checkMethods(t reflect.Type, path string) (own bool, err error) {
	encode := func(i int) reflect.Type { return ways[i].encode }
	decode := func(i int) reflect.Type { return ways[i].decode }
	enc, dec := choice(t, encode), choice(t, decode)
	if enc == dec {
		return enc < len(ways), nil
	}
	name := func(i int, half func(int) reflect.Type) string {
		if i == len(ways) {
			return "no method of its own"
		}
		return half(i).Method(0).Name
	}
	return true, fmt.Errorf("%s is written by %s but would be read by %s", path, name(enc, encode), name(dec, decode))
}

// choice returns which of the ways msgpack/v5 takes for t: the first that t itself has, else the first that *t has.
func choice(t reflect.Type, half func(int) reflect.Type) int {
	for i := range ways {
		if t.Implements(half(i)) {
			return i
		}
	}
	for i := range ways {
		if has(t, half(i)) {
			return i
		}
	}
	return len(ways)
}

func checkFields(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if t.Name() != "" {
		path = t.String()
	}
	for f := range t.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		if tag == "-" || f.Name == "_" || f.Name == "_msgpack" {
			continue
		}
		name := path + "." + f.Name
		if !f.IsExported() && (!f.Anonymous || f.Type.Kind() != reflect.Struct) {
			return fmt.Errorf("%s is not exported and would be lost; if that is meant, tag it `msgpack:\"-\"`", name)
		}
		if err := check(f.Type, name, seen); err != nil {
			return err
		}
	}
	return nil
}
