// Package codec turns Go values into msgpack and back. Its invariant: what Append accepts, Decode gives back, and
// no input, however hostile, makes Decode panic, recurse without bound, or allocate out of proportion to its length.
//
// The wire is MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), structs as maps with named
// fields, as github.com/vmihailenco/msgpack/v5 writes it; integers that stand alone take their shortest form. Who
// does the work depends on the type, and is decided once by For:
//
//   - booleans, numbers, strings, byte slices, empty structs, and named types of these: the code of this package,
//     without reflection;
//   - types with the methods MarshalMsg and UnmarshalMsg, as github.com/tinylib/msgp generates them: those methods;
//   - everything else: msgpack/v5 with pooled encoders and decoders. It honours msgpack.CustomEncoder,
//     msgpack.Marshaler, encoding.BinaryMarshaler and encoding.TextMarshaler.
//
// Whatever the last two produce or are to read is first walked by Skip, which checks every length against the bytes
// that are there. msgpack/v5 itself allocates whatever a length prefix asks for.
//
// Types that cannot make the trip, such as a struct with fields msgpack would silently drop, are found by Check.
package codec
