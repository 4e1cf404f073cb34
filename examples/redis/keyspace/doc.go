// Package keyspace holds the databases of a Redis server as tracked state of a pair.
//
// Invariant: tracked maps hold everything, and the ordered indexes beside them (names by hash, scores, list positions,
// deadlines) are functions of what these hold, kept by observing them. So both members have the same indexes, whoever
// computes and however a member was filled; and whatever a call does, the order in which it finds keys and elements, and
// the random ones it picks, are decided by the content, the time of the call and its random numbers.
//
// A key is an Entry: a string, or the ID of a collection, whose elements are entries of one other map under that ID.
// So renaming or deleting a collection touches one entry, whatever its size. What a large collection or a flushed
// database leaves behind is trash, and Sweep takes it away in small steps.
//
// Names and values passed in may be reused by the caller; strings returned may be kept.
package keyspace
