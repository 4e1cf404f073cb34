package survive

import (
	"bufio"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

const benchmarkOutput = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"SET","67114.09","0.442","0.112","0.383","0.719","1.463","5.543"
"LPUSH (needed to benchmark LRANGE)","32467.53","1.015","0.160","0.903","1.487","2.927","17.151"
"LRANGE_100 (first 100 elements)","24183.80","1.385","0.080","1.279","2.503","4.511","8.247"
`

func TestRatesOfRedisBenchmarkAreRead(t *testing.T) {
	t.Parallel()
	tests, rest := parseBenchmark([]byte(benchmarkOutput))
	require.Equal(t, []rated{{"SET", 67114.09}, {"LPUSH (needed to benchmark LRANGE)", 32467.53}, {"LRANGE_100 (first 100 elements)", 24183.8}}, tests)
	require.Empty(t, rest)
}

func TestRatesOfAnOldRedisBenchmarkAreRead(t *testing.T) {
	t.Parallel()
	tests, rest := parseBenchmark([]byte("\"PING_INLINE\",\"81967.21\"\n\"MSET (10 keys)\",\"31298.90\"\n"))
	require.Equal(t, []rated{{"PING_INLINE", 81967.21}, {"MSET (10 keys)", 31298.9}}, tests)
	require.Empty(t, rest)
}

func TestWhatIsNoRateOfRedisBenchmarkIsNotLost(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"Error from server: ERR unknown command", "All clients disconnected... aborting.", `"SET","-nan","0.1"`, `"SET","inf"`, `"SET","0.00"`, `"SET`} {
		tests, rest := parseBenchmark([]byte(benchmarkOutput + line + "\n"))
		require.Len(t, tests, 3)
		require.Equal(t, []string{line}, rest)
	}
}

func FuzzParseBenchmark(f *testing.F) {
	f.Add([]byte(benchmarkOutput))
	f.Add([]byte("\"a\",\"1\"\n\"b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tests, _ := parseBenchmark(b)
		for _, x := range tests {
			require.True(t, x.rate > 0 && !math.IsInf(x.rate, 0), "broken promise: a rate can be divided by; %v", x)
		}
	})
}

const wrkOutput = `Running 2s test @ http://127.0.0.1:8080/count
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.42ms    2.94ms  37.11ms   96.83%
    Req/Sec    23.26k     4.21k   28.60k    80.00%
  46394 requests in 2.01s, 8.05MB read
Requests/sec:  23079.63
Transfer/sec:      4.00MB
Without success: 0
`

func TestWhatWrkSaysIsRead(t *testing.T) {
	t.Parallel()
	var res survived
	res.wrked(&world.Execution{Stdout: []byte(wrkOutput), Ran: world.Span{From: time.Unix(0, 0), To: time.Unix(2, 0)}})
	require.Equal(t, survived{Requests: 46394, Rate: 23197}, res)
}

func TestErrorsThatWrkCountsAreErrors(t *testing.T) {
	t.Parallel()
	const trouble = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\nRequests/sec:"
	said, complete := parseWrk([]byte(strings.Replace(wrkOutput, "Requests/sec:", trouble, 1)))
	require.True(t, complete)
	require.Equal(t, wrkSays{requests: 46394, connect: 1, read: 20, write: 300, timeout: 4000, failed: 50000}, said)
	require.Equal(t, 54321, said.errors())

	said, _ = parseWrk([]byte(strings.Replace(wrkOutput, "success: 0", "success: 7", 1)))
	require.Equal(t, 7, said.errors(), "broken promise: an answer 304 to a POST is no success")
}

func TestWrkThatDoesNotGetToItsEndIsNoticed(t *testing.T) {
	t.Parallel()
	for _, out := range []string{"", "unable to connect to 127.0.0.1:8080 Connection refused\n", strings.Replace(wrkOutput, "Without success", "", 1), strings.Replace(wrkOutput, "requests in", "", 1)} {
		var res survived
		res.wrked(&world.Execution{Stdout: []byte(out), Ran: world.Span{From: time.Unix(0, 0), To: time.Unix(1, 0)}})
		require.Equal(t, 1, res.Errors, out)
	}
}

// anHour is a killer that has killed once a minute.
func anHour(from time.Time) *subject.Killer {
	k := &subject.Killer{}
	for i := range 60 {
		k.At = append(k.At, from.Add(time.Duration(i)*time.Minute))
	}
	return k
}

func TestAResetInTheMomentOfAcceptingIsToldApart(t *testing.T) {
	t.Parallel()
	began := time.Now()
	k := anHour(began)
	run := func(from time.Duration, trouble ...string) tested {
		return tested{Execution: world.Execution{Ran: world.Span{From: began.Add(from), To: began.Add(from + 10*time.Second)}}, trouble: trouble}
	}
	const reset = "Error: Connection reset by peer"
	for _, c := range []struct {
		what              string
		run               tested
		errors, accepting int
	}{
		{"nothing happened", run(0), 0, 0},
		{"killed while it connected", run(time.Minute-connecting/2, reset, "exit status 1"), 0, 1},
		{"killed later", run(time.Minute-2*connecting, reset, "exit status 1"), 1, 0},
		{"not killed at all", run(time.Second, reset, "exit status 1"), 1, 0},
		{"a wrong reply while it connected", run(time.Minute-connecting/2, "Error from server: ERR", "exit status 1"), 1, 0},
	} {
		var res survived
		res.take([]tested{c.run}, k)
		require.Equal(t, []int{c.errors, c.accepting}, []int{res.Errors, res.Accepting}, c.what)
		require.Equal(t, c.run.trouble, res.Said, c.what)
	}
}

func TestWhatCurlSaysIsRead(t *testing.T) {
	t.Parallel()
	began := time.Now()
	e := world.Execution{Ran: world.Span{From: began.Add(-time.Second), To: began.Add(time.Second)}}
	for _, c := range []struct {
		what, stdout                string
		killer                      *subject.Killer
		requests, errors, accepting int
	}{
		{"one connection", "200 1\n200 0\n201 0\n", anHour(began), 3, 0, 0},
		{"a status that is no success", "200 1\n500 0\n", anHour(began), 1, 1, 0},
		{"another connection without any news", "200 1\n200 1\n", anHour(began), 2, 1, 0},
		{"a lost connection", "200 1\n000 0\n200 1\n", anHour(began), 2, 1, 0},
		{"reset by a kill at its first request", "000 1\n200 1\n200 0\n", anHour(began), 2, 0, 1},
		{"reset at its first request without a kill", "000 1\n200 1\n", &subject.Killer{}, 1, 1, 0},
		{"nothing at all", "", anHour(began), 0, 1, 0},
		{"something else", "200 1\nhello\n", anHour(began), 1, 1, 0},
	} {
		var res survived
		e.Stdout = []byte(c.stdout)
		res.curled(&e, c.killer)
		require.Equal(t, []int{c.requests, c.errors, c.accepting}, []int{res.Requests, res.Errors, res.Accepting}, c.what)
	}
}

func TestTheCounterMustBeWhatWasAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ counted, answered, cutOff, wrong int }{
		{10, 10, 0, 0}, {9, 10, 0, 1}, {11, 10, 0, 1}, {13, 10, 3, 0}, {14, 10, 3, 1}, {9, 10, 3, 1},
	} {
		var res survived
		res.count(c.counted, c.answered, c.cutOff)
		require.Equal(t, c.wrong, res.Wrong, "%+v", c)
	}
}

func TestEveryFaultOfAFileIsFound(t *testing.T) {
	t.Parallel()
	write := func(lines ...fileLine) string {
		var b []byte
		for _, l := range lines {
			b = l.append(b)
		}
		path := filepath.Join(t.TempDir(), "lines")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	line := func(w, n uint32) fileLine { return fileLine{Writer: w, N: n} }
	check := func(path string) []string {
		wrong, err := checkLines(path, []int{2, 1})
		require.NoError(t, err)
		return wrong
	}
	require.Empty(t, check(write(line(0, 0), line(1, 0), line(0, 1))))
	for what, path := range map[string]string{
		"a line is missing":          write(line(0, 0), line(1, 0)),
		"a line is in it twice":      write(line(0, 0), line(1, 0), line(1, 0), line(0, 1)),
		"lines are in another order": write(line(0, 1), line(0, 0), line(1, 0)),
		"a line is of nobody":        write(line(0, 0), line(1, 0), line(0, 1), line(2, 0)),
	} {
		require.NotEmpty(t, check(path), what)
	}
	path := write(line(0, 0), line(1, 0), line(0, 1))
	require.NoError(t, os.Truncate(path, 70))
	require.NotEmpty(t, check(path), "something besides lines is in it")
}

// A fake server answers INCR with what it is told to.
func TestAReplyThatIsNotTheNextNumberIsWrong(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		replies, stored string
		wrong           int
	}{
		"all is well":                    {":1\r\n:2\r\n:3\r\n:4\r\n", "4", 0},
		"a request was done twice":       {":1\r\n:3\r\n:4\r\n:5\r\n", "5", 2}, // and the state tells of it too
		"a request was not done":         {":1\r\n:2\r\n:2\r\n:3\r\n", "3", 2},
		"the state is not what was told": {":1\r\n:2\r\n:3\r\n:4\r\n", "3", 1},
	} {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			in := bufio.NewReader(there)
			skip := func(lines int) {
				for range lines {
					_, _ = in.ReadString('\n')
				}
			}
			skip(4 * 5) // INCR and the key, as an array
			_, _ = there.Write([]byte(c.replies))
			skip(5)
			_, _ = there.Write([]byte("$" + strconv.Itoa(len(c.stored)) + "\r\n" + c.stored + "\r\n"))
		}()
		counter := &counter{conn: here, in: bufio.NewReader(here), out: bufio.NewWriter(here), key: "k"}
		var stop atomic.Bool
		for range 4 {
			counter.command("INCR", "k")
			counter.sent++
		}
		stop.Store(true)
		require.NoError(t, counter.run(4, &stop), what)
		require.Equal(t, c.wrong, counter.wrong, what)
		require.NoError(t, here.Close())
	}
}

func TestWhatIsMissingComesWithTheCommandThatInstallsIt(t *testing.T) {
	t.Setenv("PATH", "")
	require.Equal(t, "redis-benchmark is not installed: apt-get install redis-tools", missing("redis-benchmark"))
	require.Equal(t, "wrk is not installed: apt-get install wrk", missing("wrk"))
	require.Equal(t, "curl is not installed: apt-get install curl", missing("curl"))
}

func TestWhatWasLeftOutFailsOnlyIfThatIsAskedFor(t *testing.T) {
	t.Parallel()
	verdict := func(strict bool, results ...*survived) error {
		s := survival{p: plan{Strict: strict}, results: results}
		return s.verdict()
	}
	leftOut := &survived{Client: "wrk", LeftOut: "wrk is not installed"}
	require.NoError(t, verdict(false, leftOut, &survived{Accepting: 1}))
	require.Error(t, verdict(true, leftOut))
	require.Error(t, verdict(false, leftOut, &survived{Errors: 1}))
	require.Error(t, verdict(false, &survived{Wrong: 1}))
}
