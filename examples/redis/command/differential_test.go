package command

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// grammar is what the commands of a random sequence look like: k a key, v a value, m a member or field, i an integer, f a
// float, s a bound of scores, l a bound of names, t a time in seconds from now on, x a time in milliseconds. [a|b] is one
// of them or nothing, {a|b} one of them, and … repeats what is before it.
const grammar = `
PING [v]
ECHO v
SELECT {0|1|2|99|zz|9999999999}
SET k v
SET k v [NX|XX] [GET] [EX t|PX x|KEEPTTL|EX 0|PX abc|EXAT 1|KEEPTTL EX t]
GET k
GETSET k v
GETDEL k
GETEX k [EX t|PX x|PERSIST|PERSIST EX t|EX -1]
MGET k…
MSET k v k v
MSETNX k v k v
SETNX k v
SETEX k t v
PSETEX k x v
APPEND k v
STRLEN k
GETRANGE k i i
SETRANGE k {0|1|5|-1|536870913} v
INCR k
DECR k
INCRBY k i
DECRBY k i
INCRBYFLOAT k f
DEL k…
UNLINK k…
EXISTS k…
TYPE k
KEYS {*|a*|?|[ab]|[^a]|*b*|a\*|[a-c]*|[}
SCAN 0 COUNT 1000 [MATCH a*|TYPE string|TYPE hash]
RENAME k k
RENAMENX k k
DBSIZE
FLUSHDB [SYNC|ASYNC|zz]
FLUSHALL
EXPIRE k {t|0|-1|x|9223372036854775807} [NX|XX|GT|LT|NX XX|GT LT|ZZ]
PEXPIRE k {x|0} [NX|XX|GT|LT]
EXPIREAT k {1|99999999999|a}
PEXPIREAT k {1|99999999999999}
TTL k
PTTL k
EXPIRETIME k
PEXPIRETIME k
PERSIST k
COPY k k [REPLACE] [DB 1|DB 99|DB x|ZZ]
TOUCH k…
OBJECT {ENCODING|ZZ} k
LPUSH k v…
RPUSH k v…
LPUSHX k v…
RPUSHX k v…
LPOP k [0|1|2|-1|zz]
RPOP k [0|1|2|-1|zz]
LLEN k
LRANGE k i i
LINDEX k i
LSET k i v
LINSERT k {BEFORE|AFTER|ZZ} v v
LREM k i v
LTRIM k i i
RPOPLPUSH k k
LMOVE k k {LEFT|RIGHT} {LEFT|RIGHT|ZZ}
LPOS k v [RANK i] [COUNT i] [MAXLEN i]
SADD k m…
SREM k m…
SISMEMBER k m
SMISMEMBER k m…
SMEMBERS k
SCARD k
SPOP k {100|-1|zz}
SRANDMEMBER k {0|zz}
SINTER k…
SUNION k…
SDIFF k…
SINTERSTORE k k…
SUNIONSTORE k k…
SDIFFSTORE k k…
SMOVE k k m
SSCAN k 0 COUNT 1000 [MATCH a*]
HSET k m v m v
HSETNX k m v
HMSET k m v
HGET k m
HMGET k m…
HGETALL k
HDEL k m…
HEXISTS k m
HLEN k
HKEYS k
HVALS k
HINCRBY k m i
HINCRBYFLOAT k m f
HSTRLEN k m
HSCAN k 0 COUNT 1000 [MATCH a*]
ZADD k f m f m
ZADD k [NX|XX|NX XX] [GT|LT|GT LT] [CH] [INCR] f m
ZINCRBY k f m
ZREM k m…
ZSCORE k m
ZMSCORE k m…
ZCARD k
ZCOUNT k s s
ZLEXCOUNT k l l
ZRANGE k i i [WITHSCORES] [REV] [LIMIT 0 1]
ZRANGE k s s BYSCORE [REV] [LIMIT i i] [WITHSCORES]
ZRANGE k l l BYLEX [REV] [LIMIT i i] [WITHSCORES]
ZREVRANGE k i i [WITHSCORES]
ZRANGEBYSCORE k s s [WITHSCORES] [LIMIT i i]
ZREVRANGEBYSCORE k s s [WITHSCORES]
ZRANGEBYLEX k l l [LIMIT i i]
ZREVRANGEBYLEX k l l
ZRANK k m
ZREVRANK k m
ZPOPMIN k [0|1|2|-1|zz]
ZPOPMAX k [0|1|2|-1|zz]
ZREMRANGEBYRANK k i i
ZREMRANGEBYSCORE k s s
ZREMRANGEBYLEX k l l
ZSCAN k 0 COUNT 1000 [MATCH a*]
MULTI
MULTI
EXEC
EXEC
EXEC
DISCARD
WATCH k…
UNWATCH
RESET
CLIENT {GETNAME|SETNAME v|SETNAME a\nb|ZZ|NO-EVICT on|NO-EVICT zz}
HELLO {2|4|zz|2 AUTH default x|2 AUTH ann x|2 ZZ} ZZ
AUTH {zz|default zz|ann zz}
CONFIG {GET save|GET SAVE appendonly|GET nothing|SET nothing 1|ZZ}
WAIT {0|zz} {1|zz|-1}
NOSUCH k v
`

// sample are the words behind the letters of the grammar.
var sample = map[string]*rapid.Generator[string]{
	"k": rapid.SampledFrom([]string{"a", "b", "c", "a*"}),
	"v": rapid.SampledFrom([]string{"", "a", "b", "10", "-3", "3.5", "hello world", "1e3", " 1", "9223372036854775807", "\x00\r\n", strings.Repeat("long", 20)}),
	"m": rapid.SampledFrom([]string{"a", "b", "c", "d", "ab", "1", "20", "", strings.Repeat("m", 70)}),
	"i": rapid.Map(rapid.IntRange(-6, 6), strconv.Itoa),
	"f": rapid.SampledFrom([]string{"0", "1", "-1", "2.5", "0.1", "0.2", "3.0e2", "inf", "-inf", "+1", "1e20", "nan", "", "1x", "5.00", ".5", "1e400"}),
	"s": rapid.SampledFrom([]string{"-inf", "+inf", "0", "1", "2.5", "(1", "(0", "(-inf", "x", "(x", "-1"}),
	"l": rapid.SampledFrom([]string{"-", "+", "[a", "(a", "[c", "(b", "[ab", "x", "", "["}),
	"t": rapid.Map(rapid.IntRange(1e2, 1e7), strconv.Itoa),  // so many that the same one hardly comes twice: GT and LT would
	"x": rapid.Map(rapid.IntRange(1e5, 1e10), strconv.Itoa), // ask for the millisecond
}

// sentence draws a command from a line of the grammar.
func sentence(t *rapid.T, line string) (args []string) {
	word := func(w string) {
		repeat := 1
		if short, ok := strings.CutSuffix(w, "…"); ok {
			w, repeat = short, rapid.IntRange(1, 3).Draw(t, "how often")
		}
		for range repeat {
			if g := sample[w]; g != nil {
				args = append(args, g.Draw(t, w))
			} else {
				args = append(args, strings.ReplaceAll(w, `\n`, "\n"))
			}
		}
	}
	for line != "" {
		var part string
		open, closing := line[0], strings.IndexAny(line, "]}")
		if (open == '[' || open == '{') && closing > 0 {
			if strings.HasPrefix(line, "{*|") {
				closing = strings.LastIndex(line, "}")
			}
			part, line = line[1:closing], line[closing+1:]
			choice := rapid.SampledFrom(strings.Split(part, "|")).Draw(t, "choice")
			if open == '{' || rapid.Bool().Draw(t, "given") {
				for _, w := range strings.Fields(choice) {
					word(w)
				}
			}
		} else {
			part, line, _ = strings.Cut(line, " ")
			word(part)
		}
		line = strings.TrimLeft(line, " ")
	}
	return args
}

// drawCommand draws a command, which may have lost or gained an argument.
func drawCommand(t *rapid.T, lines []string) []string {
	args := sentence(t, rapid.SampledFrom(lines).Draw(t, "command"))
	switch rapid.IntRange(0, 30).Draw(t, "spoiled") {
	case 0:
		args = args[:max(len(args)-1, 1)]
	case 1:
		args = append(args, "extra")
	case 2:
		args[0] = strings.ToLower(args[0])
	}
	if len(args) == 2 && strings.Contains("SPOP SRANDMEMBER", args[0]) {
		return []string{"PING"} // it has lost its count, and what it returns is random
	}
	return args
}

func TestEveryReplyIsThatOfRedis(t *testing.T) {
	t.Parallel()
	server := startReal(t)
	lines := strings.Split(strings.TrimSpace(grammar), "\n")
	rapid.Check(t, func(t *rapid.T) {
		f := newFake()
		var theirs [2]*connection
		for i := range theirs {
			theirs[i] = server.dial(t)
			defer theirs[i].Close()
		}
		theirs[0].do("FLUSHALL")
		var history strings.Builder
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			who, command := rapid.IntRange(0, 1).Draw(t, "who"), drawCommand(t, lines)
			f.now = time.Now()
			want, got := theirs[who].do(command...), f.do(uint64(who+1), command...)
			fmt.Fprintf(&history, "%d: %q → %.1000s\n", who, command, plain(command, want))
			require.True(t, plain(command, got) == plain(command, want), "broken promise: replies are those of Redis\n%.9000swe say %.2000s (%.2000q)", history.String(), plain(command, got), got)
		}
	})
}

func TestCommandTellsOfEachCommandWhatRedisTells(t *testing.T) {
	t.Parallel()
	theirs, f := startReal(t).dial(t), newFake()
	defer theirs.Close()
	for _, c := range commands {
		ask := []string{"COMMAND", "INFO", c.name, "nothing"}
		want := parseReply(bufio.NewReader(strings.NewReader(theirs.do(ask...)))).([]any)
		got := parseReply(bufio.NewReader(strings.NewReader(f.do(1, ask...)))).([]any)
		require.Equal(t, want[0].([]any)[:6], got[0].([]any)[:6])
		require.Equal(t, want[1], got[1])
	}
}
