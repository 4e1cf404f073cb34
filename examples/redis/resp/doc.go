// Package resp reads and writes the wire of Redis, RESP version 2 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
//
// Invariant: what Cut finds to be a request depends on the bytes alone and not on how they arrive; Parse reads exactly what
// Cut has found; and neither panics or allocates out of proportion, whatever the bytes are. Limits and texts of errors are
// those of Redis 7.0 (networking.c). The writers append to what they are given and allocate nothing else.
package resp
