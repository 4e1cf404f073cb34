package pair

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/checkpoint"
	"github.com/1fb4ed1c/tandem/receive"
)

func encode(r record) []byte {
	b := bytes.Repeat([]byte{0xaa}, r.size()) // the room in the log holds arbitrary bytes
	r.put(b)
	return b
}

func blob(t *rapid.T, what string) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, what) }

func TestEveryRecordArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	number := rapid.Uint64()
	rapid.Check(t, func(t *rapid.T) {
		c := commitRecord{number.Draw(t, "opener"), number.Draw(t, "id"), number.Draw(t, "low"), rapid.Int64().Draw(t, "code"), blob(t, "reply"), blob(t, "changes")}
		var gotC commitRecord
		require.NoError(t, gotC.parse(encode(&c)))
		require.Equal(t, c, gotC)

		r := requestRecord{number.Draw(t, "opener"), number.Draw(t, "id"), number.Draw(t, "low"), rapid.Int64().Draw(t, "wall"),
			rapid.Int64().Draw(t, "mono"), number.Draw(t, "seed"), blob(t, "method"), blob(t, "body")}
		var gotR requestRecord
		require.NoError(t, gotR.parse(encode(&r)))
		require.Equal(t, r, gotR)

		s := syncedRecord{number.Draw(t, "last"), number.Draw(t, "requests"), counts{number.Draw(t, "takeovers"), number.Draw(t, "switches")}}
		var b [syncedSize]byte
		s.put(b[:])
		var gotS syncedRecord
		require.NoError(t, gotS.parse(b[:]))
		require.Equal(t, s, gotS)
	})
}

func TestACutRecordIsRefused(t *testing.T) {
	t.Parallel()
	c := encode(&commitRecord{reply: []byte("reply")})
	r := encode(&requestRecord{method: []byte("method")})
	for n := range len(c) {
		require.ErrorIs(t, new(commitRecord).parse(c[:n]), errMalformedRecord, "commit cut at %d", n)
	}
	for n := range len(r) {
		require.ErrorIs(t, new(requestRecord).parse(r[:n]), errMalformedRecord, "request cut at %d", n)
	}
	for n := range syncedSize {
		require.ErrorIs(t, new(syncedRecord).parse(make([]byte, n)), errMalformedRecord, "end of the state cut at %d", n)
	}
	for n := range 20 {
		_, err := parseID(make([]byte, n))
		require.Equal(t, n >= 8, err == nil, "an ID of %d bytes", n)
	}
}

func TestARecordOfANewerNeighbourIsRead(t *testing.T) {
	t.Parallel()
	want := syncedRecord{1, 2, counts{3, 4}}
	b := make([]byte, syncedSize+24)
	want.put(b)
	copy(b[syncedSize:], "what this version does not know")
	var got syncedRecord
	require.NoError(t, got.parse(b))
	require.Equal(t, want, got)
	id, err := parseID(append(binary.LittleEndian.AppendUint64(nil, 7), "and why"...))
	require.NoError(t, err)
	require.EqualValues(t, 7, id)
}

func TestMembersSpeakTheLowerOfNeighbouringVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mine, theirs, want int }{{3, 3, 3}, {3, 2, 2}, {3, 4, 3}, {3, 1, 0}, {3, 5, 0}, {1, 0, 0}, {1, -1, 0}} {
		got, err := speak(c.mine, c.theirs)
		require.Equal(t, c.want, got, "%d and %d", c.mine, c.theirs)
		if c.want == 0 {
			require.ErrorIs(t, err, ErrVersion)
		}
	}
}

// FuzzRecord gives any bytes to the parsers of all records: whatever they accept, they read as it was written.
func FuzzRecord(f *testing.F) {
	f.Add(encode(&commitRecord{opener: 1, id: 2, low: 3, code: -4, reply: []byte("r"), changes: []byte("c")}))
	f.Add(encode(&requestRecord{opener: 1, id: 2, method: []byte("m"), body: []byte("b")}))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, c2 commitRecord
		if err := c.parse(b); err == nil {
			require.Equal(t, len(b), c.size())
			require.NoError(t, c2.parse(encode(&c)))
			require.Equal(t, c, c2)
		} else {
			require.ErrorIs(t, err, errMalformedRecord)
		}
		var r, r2 requestRecord
		if err := r.parse(b); err == nil {
			require.Equal(t, len(b), r.size())
			require.NoError(t, r2.parse(encode(&r)))
			require.Equal(t, r, r2)
		} else {
			require.ErrorIs(t, err, errMalformedRecord)
		}
		var s syncedRecord
		if err := s.parse(b); err != nil {
			require.ErrorIs(t, err, errMalformedRecord)
		}
	})
}

// aBackup is a service as a backup that holds the whole state, without a process behind it.
func aBackup() *Service {
	s := Config{Mode: BackupLazy, LogSize: smallestLog}.New("fuzz")
	words := Map[string, string](s, "words")
	Handle(s, "put", func(c *Call, w [2]string) (int, error) {
		words.Set(w[0], w[1])
		return words.Len(), nil
	})
	s.store.Freeze()
	m := &member{roles: roles{role: Backup}, app: s, link: &link{other: program{build: "b"}}, upgrades: upgrades{build: "b"}}
	s.m = m
	s.filled(true)
	return s
}

// FuzzApply feeds a backup with a log of any records: it holds on to its state or reports an error, and never panics, not
// at the takeover either.
func FuzzApply(f *testing.F) {
	put := encode(&requestRecord{opener: 1, id: 1, method: []byte("put"), body: []byte{0x92, 0xa1, 'a', 0xa1, 'b'}})
	open := anOpen(f)
	f.Add(logOf(kindOpen, open, kindRequest, put, kindSynced, make([]byte, syncedSize)))
	f.Add(logOf(kindOpen, open, kindDelta, aSnapshot(f), kindRequest, put, kindClose, binary.LittleEndian.AppendUint64(nil, 1)))
	f.Add(logOf(kindDelta, []byte{1, 0xff, 0xff, 0xff, 0xff}, kindDelta, []byte{0}, kindDelta, nil))
	f.Add(logOf(kindCommit, encode(&commitRecord{opener: 1, id: 9, reply: []byte("r"), changes: []byte{1, 2, 3}}), kindSchema, []byte{9}, kindChunk, []byte{9}))
	f.Add(logOf(kindUpdate, put, kindStop, nil))
	f.Fuzz(func(t *testing.T, log []byte) {
		s := aBackup()
		for len(log) >= 2 {
			kind, n := checkpoint.Kind(log[0]), min(int(log[1]), len(log)-2)
			payload := log[2 : 2+n]
			log = log[2+n:]
			if err := s.m.apply(kind, payload); err != nil {
				return // a backup leaves at the first
			}
		}
		if _, err := s.promote(false); err == nil {
			require.Empty(t, s.replay.kinds, "broken promise: a primary has run everything")
		}
	})
}

// logOf puts records behind one another as FuzzApply reads them: kind, length, payload.
func logOf(records ...any) (b []byte) {
	for i := 0; i < len(records); i += 2 {
		payload, _ := records[i+1].([]byte)
		b = append(b, byte(records[i].(checkpoint.Kind)), byte(len(payload)))
		b = append(b, payload...)
	}
	return b
}

func anOpen(t testing.TB) []byte {
	var table receive.Openers
	o, err := table.Open(receive.Identity{Cookie: 1, Depth: 2})
	require.NoError(t, err)
	o.Save(1, 0, []byte("saved"))
	part, next := o.AppendPart(nil, 0, 1<<10)
	require.Zero(t, next)
	return part
}

// aSnapshot is the one record that stands for one request.
func aSnapshot(t testing.TB) []byte {
	s := aBackup()
	s.store.TrackDirty(true)
	s.store.Begin()
	_, err := s.handlers["put"].run(&s.call, []byte{0x92, 0xa1, 'a', 0xa1, 'b'}, nil)
	require.NoError(t, err)
	s.store.Commit()
	b, err := s.store.AppendDelta([]byte{1, 0, 0, 0, 0})
	require.NoError(t, err)
	binary.LittleEndian.PutUint32(b[1:], uint32(len(b)-5))
	reply := encode(&commitRecord{opener: 1, id: 1, reply: []byte{1}})
	b = binary.LittleEndian.AppendUint32(b, uint32(len(reply)))
	return append(b, reply...)
}

func TestASnapshotStandsForItsRequestsAndTheirReplies(t *testing.T) {
	t.Parallel()
	whole, parts := aBackup(), aBackup()
	snapshot := aSnapshot(t)
	for _, s := range []*Service{whole, parts} {
		require.NoError(t, s.m.apply(kindOpen, anOpen(t)))
		require.NoError(t, s.m.apply(kindRequest, encode(&requestRecord{opener: 1, id: 1, method: []byte("nothing that could be run")})))
	}
	require.NoError(t, whole.m.apply(kindDelta, snapshot))
	for i, b := range snapshot[1:] { // byte by byte, the last one marked
		last := byte(0)
		if i == len(snapshot)-2 {
			last = 1
		}
		require.NoError(t, parts.m.apply(kindDelta, []byte{last, b}))
	}
	for _, s := range []*Service{whole, parts} {
		_, err := s.promote(false)
		require.NoError(t, err)
		require.Equal(t, whole.store.Digest(), s.store.Digest())
		_, reply, ok := s.m.openers.Lookup(1).Saved(1)
		require.True(t, ok, "broken promise: a snapshot brings the replies of the requests it stands for")
		require.Equal(t, []byte{1}, reply)
	}
}
