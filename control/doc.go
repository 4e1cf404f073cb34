// Package control holds the messages that a hand-written process pair sends from its primary to its backup: file opens,
// state, file state and control state.
//
// Invariant: one checkpoint is one complete continuation point. However many messages it is made of, they travel as one
// record; the backup gets all of them, in order, or none.
//
// The division is that of NonStop's active backup (Availability Guide for Application Design, 7-13): the *open state* lets
// the backup open the same files, the *file state* says how far each has been read or written, the *state* is the data
// about to be written or just read, and the *control state* says where to go on. Only the program knows what belongs into
// each; this package fixes how they are named and encoded: msgpack, structs as maps with named fields, so that
// neighbouring versions of a program understand each other.
package control
