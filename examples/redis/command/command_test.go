package command

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// exchange is a command and what it must answer, as plain text.
type exchange struct {
	say  string // words, separated by spaces
	want string
}

func (f *fake) talk(t *testing.T, exchanges ...exchange) {
	t.Helper()
	for _, x := range exchanges {
		words := strings.Fields(x.say)
		require.Equal(t, x.want, f.do(1, words...), x.say)
	}
}

func TestRandomMembersAreMembersAndEachIsTakenOnce(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.do(1, "SADD", "s", "a", "b", "c", "d", "e")
	seen := map[string]bool{}
	for range 5 {
		one := f.do(1, "SRANDMEMBER", "s")
		m := f.do(1, "SPOP", "s")
		require.Regexp(t, `^\$1\r\n[a-e]\r\n$`, one)
		require.False(t, seen[m], "%q was popped before", m)
		seen[m] = true
	}
	f.talk(t, exchange{"SPOP s", "$-1\r\n"}, exchange{"EXISTS s", ":0\r\n"}, exchange{"SRANDMEMBER s 3", "*0\r\n"})

	f.do(1, "SADD", "s", "a", "b", "c")
	require.Equal(t, `[]interface {}{"a", "b", "c"}`, plain([]string{"SPOP"}, f.do(1, "SRANDMEMBER", "s", "9")), "different ones")
	require.Len(t, f.do(1, "SRANDMEMBER", "s", "-9"), len("*9\r\n")+9*len("$1\r\na\r\n"), "any")
	require.Equal(t, "-"+errTooLong+"\r\n", f.do(1, "SRANDMEMBER", "s", "-9223372036854775807"))
	f.do(1, "SET", "k", "v")
	f.do(1, "DEL", "s")
	f.talk(t, exchange{"RANDOMKEY", "$1\r\nk\r\n"}, exchange{"DEL k", ":1\r\n"}, exchange{"RANDOMKEY", "$-1\r\n"})
}

func TestKeysExpireWithTheTimeOfTheCalls(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.talk(t, exchange{"SET a 1 PX 1000", "+OK\r\n"}, exchange{"PTTL a", ":1000\r\n"}, exchange{"RPUSH l x", ":1\r\n"}, exchange{"EXPIRE l 2", ":1\r\n"})
	f.now = f.now.Add(time.Second)
	f.talk(t, exchange{"PTTL a", ":0\r\n"}, exchange{"GET a", "$1\r\n1\r\n"})
	f.now = f.now.Add(time.Millisecond)
	f.talk(t, exchange{"GET a", "$-1\r\n"}, exchange{"TTL l", ":1\r\n"}, exchange{"DBSIZE", ":1\r\n"})
	f.talk(t, exchange{"PERSIST l", ":1\r\n"}, exchange{"TTL l", ":-1\r\n"})
	f.talk(t, exchange{"EXPIRE l -1", ":1\r\n"}, exchange{"EXISTS l", ":0\r\n"})
	require.Zero(t, f.state.Elements.Len(), "nothing of it is left")
}

func TestWhatHasExpiredGoesWithoutBeingAskedFor(t *testing.T) {
	t.Parallel()
	f := newFake()
	begin := f.now
	f.do(1, "SET", "late", "1", "PX", "50000")
	require.Equal(t, begin.Add(50001*time.Millisecond).UnixMilli(), f.wake.UnixMilli(), "a sweep is asked for when the first key expires")
	for i := range 2000 {
		f.do(1, "SET", fmt.Sprint(i), "1", "PX", "10")
	}
	f.do(1, "SET", "never", "1")
	f.do(1, "SET", "next year", "1", "EX", "31536000")
	f.sweepAll(t, begin.Add(time.Second))
	require.Equal(t, ":3\r\n", f.do(1, "DBSIZE"))
	f.sweepAll(t, begin.Add(time.Minute))
	require.Equal(t, ":2\r\n", f.do(1, "DBSIZE"))
	require.LessOrEqual(t, f.wake.Sub(f.now), longestSleep, "the clock may be set")
}

func TestDeletingAMillionElementsDoesNotTakeOneCall(t *testing.T) {
	t.Parallel()
	f := newFake()
	for i := range 20_000 {
		f.do(1, "ZADD", "z", fmt.Sprint(i), fmt.Sprint(i))
	}
	_, changes := f.handle(1, request("DEL", "z"))
	require.Less(t, len(changes), 100)
	f.talk(t, exchange{"EXISTS z", ":0\r\n"}, exchange{"ZADD z 1 a", ":1\r\n"}, exchange{"ZCARD z", ":1\r\n"})
	f.sweepAll(t, f.now.Add(time.Minute))
	require.Equal(t, 1, f.state.Elements.Len())
	require.Equal(t, ":1\r\n", f.do(1, "ZCARD", "z"))
}

func TestAConnectionLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.talk(t, exchange{"WATCH a b", "+OK\r\n"}, exchange{"CLIENT SETNAME me", "+OK\r\n"}, exchange{"CLIENT GETNAME", "$2\r\nme\r\n"},
		exchange{"MULTI", "+OK\r\n"}, exchange{"SET a 1", "+QUEUED\r\n"}, exchange{"SET b 1", "+QUEUED\r\n"})
	f.do(2, "PING")
	require.Equal(t, 2, f.state.Sessions.Len())
	f.store.Begin()
	f.Closed(f.call(1))
	f.store.Commit()
	require.Equal(t, 1, f.state.Sessions.Len())
	require.Zero(t, f.state.Queued.Len()+f.state.Watches.Len())
	f.talk(t, exchange{"EXISTS a b", ":0\r\n"}, exchange{"CLIENT GETNAME", "$-1\r\n"}, exchange{"EXEC", "-ERR EXEC without MULTI\r\n"})
}

func TestAnExpiredWatchFailsTheTransaction(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.talk(t, exchange{"SET a 1 PX 100", "+OK\r\n"}, exchange{"WATCH a", "+OK\r\n"}, exchange{"MULTI", "+OK\r\n"}, exchange{"PING", "+QUEUED\r\n"})
	f.now = f.now.Add(time.Second)
	f.talk(t, exchange{"EXEC", "*-1\r\n"})
	f.talk(t, exchange{"WATCH a", "+OK\r\n"}, exchange{"MULTI", "+OK\r\n"}, exchange{"EXEC", "*0\r\n"})
}

func TestAFlushFailsWhoWatchesAKeyThatWasThere(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.do(1, "SET", "a", "1")
	for key, want := range map[string]string{"a": "*-1\r\n", "b": "*0\r\n"} {
		f.do(1, "SET", "a", "1")
		f.talk(t, exchange{"WATCH " + key, "+OK\r\n"})
		f.do(2, "FLUSHALL")
		f.talk(t, exchange{"MULTI", "+OK\r\n"}, exchange{"EXEC", want})
	}
}

func TestBytesThatAreNoRequestEndTheConnection(t *testing.T) {
	t.Parallel()
	f := newFake()
	reply, _ := f.handle(1, []byte("set \"a\r\n"))
	require.Equal(t, "-ERR Protocol error: unbalanced quotes in request\r\n", reply)
	require.True(t, f.hung)
	reply, changes := f.handle(1, []byte("\r\n"))
	require.Empty(t, reply)
	require.Empty(t, changes)
	f.talk(t, exchange{"QUIT", "+OK\r\n"})
	require.True(t, f.hung)
}

func TestWhatIsNotCoveredSaysSo(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.talk(t,
		exchange{"BLPOP a 0", "-ERR 'blpop' is not covered by this server: it has no blocking commands\r\n"},
		exchange{"subscribe a", "-ERR 'subscribe' is not covered by this server: it has no publish and subscribe\r\n"},
		exchange{"EVAL x 0", "-ERR 'eval' is not covered by this server: it has no scripts and functions\r\n"},
		exchange{"XADD s * a b", "-ERR 'xadd' is not covered by this server: it has no streams\r\n"},
		exchange{"HELLO 3", "-NOPROTO unsupported protocol version\r\n"},
		exchange{"CONFIG SET appendonly yes", "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable config\r\n"},
		exchange{"CONFIG SET appendonly no", "+OK\r\n"},
		exchange{"COMMAND DOCS", "-ERR unknown subcommand 'DOCS'. Try COMMAND HELP.\r\n"},
	)
}

func TestInfoTellsOfTheKeyspace(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.talk(t, exchange{"SET a 1 EX 10", "+OK\r\n"}, exchange{"SET b 1", "+OK\r\n"}, exchange{"SELECT 3", "+OK\r\n"}, exchange{"SET c 1", "+OK\r\n"})
	info := f.do(1, "INFO")
	for _, want := range []string{"# Server\r\n", "role:master\r\n", "connected_clients:1\r\n", "db0:keys=2,expires=1,avg_ttl=0\r\n", "db3:keys=1,expires=0,avg_ttl=0\r\n"} {
		require.Contains(t, info, want)
	}
	require.NotContains(t, f.do(1, "INFO", "keyspace"), "# Server")
	require.Contains(t, f.do(1, "CLIENT", "LIST"), "id=1 addr=127.0.0.1:1 ")
	require.Contains(t, f.do(2, "CLIENT", "LIST"), "id=1 addr=? ")
	require.Contains(t, f.do(1, "CLIENT", "SETINFO", "lib-name", "x"), "OK")
	require.Contains(t, f.do(1, "CLIENT", "INFO"), "lib-name=x")
	require.Equal(t, fmt.Sprintf("*2\r\n$10\r\n%d\r\n$%d\r\n%d\r\n", f.now.Unix(), len(fmt.Sprint(f.now.UnixMicro()%1e6)), f.now.UnixMicro()%1e6), f.do(1, "TIME"))
}

// The same requests lead every member to the same state and the same replies, whether it computes them or is told.
func TestAllMembersAnswerTheSame(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(grammar), "\n")
	lines = append(lines, "SPOP k", "SPOP k 2", "SRANDMEMBER k 2", "SRANDMEMBER k -2", "RANDOMKEY", "SET k v PX 1", "INFO", "TIME", "KEYS *", "CLIENT LIST")
	rapid.Check(t, func(t *rapid.T) {
		primary, told, eager := newFake(), newFake(), newFake()
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			primary.now = primary.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "milliseconds")) * time.Millisecond)
			eager.now = primary.now
			who, command := rapid.Uint64Range(1, 2).Draw(t, "who"), request(drawCommand(t, lines)...)
			before := primary.content()
			reply, changes := primary.handle(who, command)
			again, _ := eager.handle(who, command)
			require.Equal(t, reply, again, "a backup that computes answers the same to %q", command)
			require.NoError(t, told.store.Apply(changes))
			if strings.HasPrefix(reply, "-") && primary.now == eager.now {
				require.Equal(t, before, primary.content(), "broken promise: a command that fails changes nothing: %q", command)
			}
			if !primary.wake.IsZero() && primary.now.After(primary.wake) {
				require.Equal(t, primary.wake, eager.wake)
				for _, f := range []*fake{primary, eager} {
					f.wake = time.Time{}
					f.store.Begin()
					f.Sweep(f.call(0))
					changes = f.store.Changes()
					f.store.Commit()
				}
				require.NoError(t, told.store.Apply(changes))
			}
			require.Equal(t, primary.store.Digest(), told.store.Digest())
			require.Equal(t, primary.store.Digest(), eager.store.Digest())
		}
	})
}

// content is what the keys hold that have not expired.
func (f *fake) content() string {
	var b strings.Builder
	for k, e := range f.state.Keys.All() {
		if at := e.Expire(); at == 0 || at >= f.now.UnixMilli() {
			fmt.Fprintf(&b, "%q %q %d\n", k, e.Value(), at)
		}
	}
	return b.String()
}

func TestPatternsMatchAsInRedis(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"?", "", false}, {"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"**", "x", true},
		{"[a-c]x", "bx", true}, {"[c-a]x", "bx", true}, {"[^a-c]x", "bx", false}, {"[^x]", "a", true}, {`\*`, "*", true}, {`\*`, "a", false},
		{`[\]]`, "]", true}, {"[a", "a", true}, {"[", "a", false}, {`a\`, `a\`, true}, {"*a", "ba", true}, {"*a", "bab", false}, {"h[ae]llo", "hallo", true},
		{strings.Repeat("a*", 50) + "b", strings.Repeat("a", 5000), false},
	} {
		require.Equal(t, x.want, match(x.pattern, x.s), "%q %.20q", x.pattern, x.s)
	}
}
