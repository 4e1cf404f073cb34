package command

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
	"github.com/1fb4ed1c/tandem/tracked"
)

const maxValue = 512 << 20

// fake is a member of a pair without processes: a server over a store, and the calls that a pair would make.
type fake struct {
	*Server
	store *tracked.Store
	now   time.Time
	seed  uint64
	wake  time.Time // when a sweep was asked for; zero: not at all
	hung  bool      // the last call hung up
}

func newFake() *fake {
	s := tracked.NewStore()
	f := &fake{store: s, now: time.Now()}
	f.Server = Open(State{
		State: keyspace.State{
			Keys: tracked.NewMap[string, keyspace.Entry](s, "keys"), Elements: tracked.NewMap[string, string](s, "elements"),
			Spaces: tracked.NewMap[uint64, uint64](s, "spaces"), IDs: tracked.NewCounter(s, "ids"),
			Trash: tracked.NewQueue[uint64](s, "trash"), Watches: tracked.NewMap[string, bool](s, "watches"),
		},
		Sessions: tracked.NewMap[uint64, Session](s, "sessions"), Queued: tracked.NewMap[string, string](s, "queued"),
		Started: tracked.NewCounter(s, "started"), Alarm: tracked.NewCounter(s, "alarm"),
	}, maxValue)
	s.Freeze()
	return f
}

// fakeCall is one call.
type fakeCall struct {
	f          *fake
	connection uint64
	now        time.Time
	rand       *rand.Rand
}

func (c *fakeCall) Now() time.Time       { return c.now }
func (c *fakeCall) Rand() *rand.Rand     { return c.rand }
func (c *fakeCall) Opener() uint64       { return c.connection | 1<<63 }
func (c *fakeCall) Remote() string       { return "127.0.0.1:" + strconv.FormatUint(c.connection, 10) }
func (c *fakeCall) Hangup()              { c.f.hung = true }
func (c *fakeCall) Wake(d time.Duration) { c.f.wake = c.now.Add(d) }

var _ Call = (*fakeCall)(nil)

func (f *fake) call(connection uint64) *fakeCall {
	f.hung = false
	f.seed++
	return &fakeCall{f, connection, f.now, rand.New(rand.NewPCG(f.seed, 0))}
}

// handle runs a request as a pair does, and returns the reply and the changes.
func (f *fake) handle(connection uint64, request []byte) (reply string, changes []byte) {
	f.store.Begin()
	reply = string(f.Handle(f.call(connection), request, nil))
	changes = slices.Clone(f.store.Changes())
	f.store.Commit()
	return reply, changes
}

// do sends a command and returns the reply as it is on the wire.
func (f *fake) do(connection uint64, args ...string) string {
	reply, _ := f.handle(connection, request(args...))
	return reply
}

// sweepAll runs the sweeps that were asked for, as their time comes.
func (f *fake) sweepAll(t require.TestingT, until time.Time) {
	for n := 0; !f.wake.IsZero() && !f.wake.After(until); n++ {
		require.Less(t, n, 100_000, "sweeps come to an end")
		f.now, f.wake = f.wake, time.Time{}
		f.store.Begin()
		f.Sweep(f.call(0))
		f.store.Commit()
	}
	f.now = until
}

func request(args ...string) []byte {
	b := resp.AppendArray(nil, len(args))
	for _, a := range args {
		b = resp.AppendBulk(b, a)
	}
	return b
}
