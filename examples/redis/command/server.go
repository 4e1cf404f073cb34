package command

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
	"github.com/1fb4ed1c/tandem/tracked"
)

// Call is what a command may know of the world. A pair.Call has all but Wake.
type Call interface {
	// Now is the time of the call, and the only one there is.
	Now() time.Time
	// Rand gives the random numbers of the call.
	Rand() *rand.Rand
	// Opener identifies the connection.
	Opener() uint64
	// Remote is the address of the client. No change may depend on it.
	Remote() string
	// Hangup closes the connection after the reply.
	Hangup()
	// Wake has Server.Sweep called after d, instead of at the time it was last asked for.
	Wake(d time.Duration)
}

// State is the tracked state of a Server.
type State struct {
	keyspace.State
	Sessions *tracked.Map[uint64, Session] // of the connections
	Queued   *tracked.Map[string, string]  // the commands of transactions, under the connection and their number
	Started  *tracked.Counter              // when the first request came, in milliseconds since 1970
	Alarm    *tracked.Counter              // when Sweep will be called, in milliseconds since 1970; 0: not at all
}

// Session is what a connection has set.
type Session struct {
	Since   int64  `msgpack:"since"` // milliseconds since 1970
	DB      int    `msgpack:"db"`
	Name    string `msgpack:"name"`
	Library string `msgpack:"lib"`
	Version string `msgpack:"ver"`
	Multi   bool   `msgpack:"multi"`  // between MULTI and EXEC
	Failed  bool   `msgpack:"failed"` // a command of the transaction could not be queued
	Queued  int    `msgpack:"queued"` // how many were
}

// Server executes commands.
type Server struct {
	state    State
	ks       *keyspace.Keyspace
	table    map[string]*known
	order    []*known // of the table
	maxValue int
	args     [2][][]byte // room for the arguments of a request, and of one in a transaction
	run      run
}

// Open returns a Server over a state, which must not be running yet. maxValue bounds a string, in bytes.
func Open(s State, maxValue int) *Server {
	srv := &Server{state: s, ks: keyspace.Open(s.State), table: map[string]*known{}, maxValue: maxValue}
	for _, c := range commands {
		k := &known{command: c}
		for _, sub := range subcommands {
			if sub.of == c.name {
				k.subs = append(k.subs, sub)
			}
		}
		srv.table[c.name] = k
		srv.order = append(srv.order, k)
	}
	return srv
}

// Handle executes a request, which resp.Cut has found, and appends its reply to dst.
func (s *Server) Handle(c Call, request, dst []byte) []byte {
	args, err := resp.Parse(request, s.args[0][:0])
	s.args[0] = args
	if err != nil {
		c.Hangup()
		return resp.AppendError(dst, "ERR "+err.Error())
	}
	if len(args) == 0 {
		return dst
	}
	s.ks.Begin(c.Now())
	r := &s.run
	*r = run{s: s, ks: s.ks, c: c, args: args, request: request, out: dst}
	r.attend()
	r.execute()
	if s.ks.Stirred() {
		s.wake(c)
	}
	dst, *r = r.out, run{} // nothing of the call is kept
	return dst
}

// Closed forgets a connection.
func (s *Server) Closed(c Call) {
	s.ks.Begin(c.Now())
	id := c.Opener()
	s.ks.Unwatch(id)
	s.forgetQueue(id, s.state.Sessions.Get(id).Queued)
	s.state.Sessions.Delete(id)
}

// Sweep removes some of what has expired, or was deleted and is too large to go at once.
func (s *Server) Sweep(c Call) {
	s.state.Alarm.Set(0)
	s.ks.Sweep(c.Now())
	s.ks.Stirred()
	s.wake(c)
}

// longestSleep bounds the time between two sweeps while keys have deadlines, should somebody set the clock forward.
const longestSleep = time.Minute

// wake asks for a sweep at the time it is due, unless there will be one before.
func (s *Server) wake(c Call) {
	due := s.ks.Due()
	if due == 0 {
		return
	}
	due = min(due, s.ks.Now()+longestSleep.Milliseconds())
	if at := s.state.Alarm.Get(); at == 0 || at > due {
		s.state.Alarm.Set(due)
		c.Wake(time.Duration(due-s.ks.Now()) * time.Millisecond)
	}
}

// queueKey is where command n of a transaction is kept.
func queueKey(connection uint64, n int) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), connection)
	return string(binary.AppendUvarint(b, uint64(n)))
}

func (s *Server) forgetQueue(connection uint64, n int) {
	for i := range n {
		s.state.Queued.Delete(queueKey(connection, i))
	}
}
