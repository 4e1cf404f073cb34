// Package checkpoint is the log through which the primary of a pair hands its backup one complete
// continuation point after the other.
//
// Its invariant: a record is in the log when, and only when, the one compare-and-swap of the commit word
// that published it has succeeded. From then on nothing that happens to the writer can take it away,
// for the memory belongs to both processes; before it, nothing of it can be seen. Whoever takes over
// swaps the same word, so the word that commits is the word that decides who is primary: every
// [Appender.Commit] that returned nil lies before the swap and will be read, every later one is refused
// with [ErrSealed] and its caller must not reply.
//
// A log is one memfd, mapped by both processes:
//
//	page 0    header (magic, version, size, instance, epoch, first sequence number, checksum),
//	          then the commit word, the tail and the reader's flags, each on cache lines of its own
//	page 1    the owner page: 4096 bytes for whoever made the log
//	ring      the records; mapped twice in a row, so that a record never wraps
//
// The commit word is {bit 63: swapped by the writer, bits 62-48: epoch, bits 47-0: offset of the end of
// the last committed record}. With E the epoch of the log its states are
//
//	{0, E}    [Live]: the writer may commit
//	{0, E+1}  [Sealed]: the reader took over, or confirmed a hand-over
//	{1, E+1}  [HandedOver]: the writer gave its place to the reader, who has not confirmed yet
//	{1, E}    [Closed]: the writer swapped the reader out, which can never take over
//	{1, E+2}  [TakenBack]: the writer took its place back before the reader confirmed
//
// Nothing is committed in any but the first. HandedOver goes to Sealed or to TakenBack; Sealed, Closed and TakenBack
// are final. The epoch is kept modulo 2^15 and the offset modulo 2^48; the offset only
// ever serves for differences, which never exceed the size of the ring.
//
// A record is a header of 24 bytes, little endian, and its payload, padded to a multiple of eight:
//
//	0   length of the payload  uint32        12  epoch            uint32
//	4   kind, then three zeros uint8         16  sequence number  uint64
//	8   checksum               uint32        24  payload
//
// The checksum is made of three CRC-32C: of the header with the checksum itself taken as zero, of the front half of the
// payload, and of the rest; the second is turned by one bit, the third by two, and all are added without carry.
//
// There is one writer process and one reader process in the life of a log. The appending side makes no system
// call unless the ring is more than half full or the reader said that it sleeps; see [Segment.Writer].
package checkpoint
