// Package wire is the language of a pair's sockets: what its requesters, its other member and its administrators say.
//
// Invariant: a packet is taken whole or not at all. [Parse] accepts exactly the bytes that [Finish] sealed, so a
// packet that was cut, lengthened, damaged, or written by a program of another version never yields a single frame;
// and no input, however hostile, makes this package panic or allocate more than in proportion to its length.
//
// Packets travel on SOCK_SEQPACKET sockets, one per message: the kernel keeps their boundaries, so there is no
// stream to resynchronise and a dying sender leaves no half packet behind. One packet holds any number of frames,
// so that requests which are ready together share a system call, and so do their replies.
//
// # Packet
//
// All integers are little endian. A packet is a header of 16 bytes and then frames, back to back, to its end:
//
//	 0  crc       u32      CRC-32C of all that follows, to the end of the packet
//	 4  magic     2 bytes  'T' 'd'
//	 6  version   u8       1; a change that an older reader would misunderstand raises it
//	 7  flags     u8       0; readers ignore bits they do not know
//	 8  length    u32      bytes after this header, a multiple of 8
//	12  epoch     u32      epoch of the speaker: what comes from a primary bears the primary's (design §6)
//
// A packet has at most [MaxPacket] bytes, header included.
//
// # Frame
//
// A frame is a header of 24 bytes, the method, the body, and zero bytes up to the next multiple of 8, so that every
// header is aligned:
//
//	 0  kind      u8       see [Kind]; 0 is not a kind
//	 1  flags     u8       see [FlagPlanned]; readers ignore bits they do not know
//	 2  method    u8       length of the method's name, bytes
//	 3  priority  u8       of a request; higher is served first
//	 4  body      u32      length of the body, bytes
//	 8  id        u64      sync ID of the request spoken of
//	16  low       u64      second number of the kind: see below
//	24  method, body, padding
//
// # What each kind carries
//
// Numbers not named are 0. "code" is an int64 in the field low: 0 is success, see [Frame.Code].
//
//	kind     said by              id            low                  body
//	Hello    whoever connects     -             -                    Hello: who it is; first packet of a connection
//	Welcome  primary              -             -                    Welcome: the open it was given
//	Refuse   primary              -             code                 text: why; the connection is then closed
//	Request  requester            sync ID       lowest unanswered    the call's argument; its method is in method
//	Cancel   requester            sync ID       -                    -
//	Reply    primary              sync ID       code                 the call's result, or the error's text
//	Notice   new primary          -             -                    - ; FlagPlanned: nothing needs to be sent again
//	Bye      either side          -             code                 text: why; the connection is then closed
//	Join     would-be backup      -             -                    Join: who it is
//	Admit    primary              -             -                    Admit: what it joins; the log's descriptor is beside it
//	Joined   backup               -             -                    Joined: it has mapped the log and watches
//	Synced   backup               record's seq  -                    - ; it holds all state up to that record
//	PassFD   primary              opener        -                    - ; the descriptor of that connection is beside it
//	Stop     member or admin      -             -                    - ; the whole pair ends
//	Log      new primary          -             -                    Admit: the new log after a switch, descriptor beside it
//	Ping     either side          any           -                    - ; answered with a Ping of the same id
//
// "Lowest unanswered" is the requester's word that it has every reply below that sync ID, so that the server may
// forget them (the saved replies of GPG-21-6 are bounded by the sync depth alone).
//
// Bodies that are not a call's own are msgpack maps with named fields: readers skip names they do not know and leave
// fields that are missing at zero, so fields may be added without a new version.
package wire
