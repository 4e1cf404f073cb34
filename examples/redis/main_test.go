package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

const (
	program = "redis"
	envMode = "REDIS_MODE"
)

func TestMain(m *testing.M) {
	pairtest.Main(m, pairtest.Programs{program: func(ctx context.Context) error {
		mode, err := pair.ParseMode(os.Getenv(envMode))
		if err != nil {
			return err
		}
		return serve(pair.Config{Mode: mode, LogSize: logSize}, program, "127.0.0.1:0").Run(ctx)
	}})
}

// start starts the server as a pair and returns its port too.
func start(t *testing.T, mode pair.Mode) (p *pairtest.Pair, port string) {
	t.Helper()
	p = pairtest.Start(t, program, pairtest.Env(envMode+"="+mode.String()))
	listen := p.Status().Listen
	require.Len(t, listen, 1)
	_, port, err := net.SplitHostPort(listen[0])
	require.NoError(t, err)
	return p, port
}

// tool returns a command of the real clients.
func tool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is missing, so it is not tried: apt-get install redis-tools", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, path, args...)
}

// line is a connection to the server that says one thing at a time.
type line struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, port string) *line {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(2*time.Minute)))
	return &line{t, c, bufio.NewReader(c)}
}

// say sends an inline command.
func (l *line) say(command string) {
	l.t.Helper()
	_, err := l.conn.Write([]byte(command + "\r\n"))
	require.NoError(l.t, err)
}

// hear returns the next line of a reply.
func (l *line) hear() string {
	l.t.Helper()
	s, err := l.in.ReadString('\n')
	require.NoError(l.t, err)
	return strings.TrimRight(s, "\r\n")
}

// clients returns how many connections have sent something.
func (l *line) clients() (n int) {
	l.t.Helper()
	l.say("INFO clients")
	for range 5 { // the length, the head, two figures, the end
		if s, ok := strings.CutPrefix(l.hear(), "connected_clients:"); ok {
			n, _ = strconv.Atoi(s)
		}
	}
	return n
}

// killWhile kills the primary over and over, at most most times, until work is done: whenever so many clients are connected
// beside control. A connection that is being accepted at the moment of a kill may be lost (docs/guarantees.md), so
// while some are, nobody is killed.
func killWhile(t *testing.T, p *pairtest.Pair, control *line, clients, most int, work func() error) (kills int) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for {
		primary := p.WaitProtected().Primary
		select {
		case err := <-done:
			require.NoError(t, err)
			return kills
		default:
		}
		if control.clients() > clients && kills < most {
			p.Kill(primary)
			kills++
		}
	}
}

// benchmarks are the default tests of redis-benchmark, by the arguments that choose them. Those of LRANGE are written out, for as
// tests they would connect anew in the middle.
var benchmarks = []string{
	"-t ping_inline", "-t ping_mbulk", "-t set", "-t get", "-t incr", "-t lpush", "-t rpush", "-t lpop", "-t rpop", "-t sadd", "-t hset", "-t spop", "-t zadd",
	"-t zpopmin", "-t mset", "LRANGE mylist 0 99", "LRANGE mylist 0 299", "LRANGE mylist 0 499", "LRANGE mylist 0 599",
}

func TestRedisBenchmarkDoesNotNoticeThatThePrimaryIsKilled(t *testing.T) {
	t.Parallel()
	for pipeline, requests := range map[string]string{"1": "1000", "16": "5000"} {
		t.Run("pipeline "+pipeline, func(t *testing.T) {
			t.Parallel()
			p, port := start(t, pair.PrimaryComputes)
			control, kills := dial(t, port), 0
			for _, test := range benchmarks {
				args := []string{"-p", port, "-c", "20", "-n", requests, "-r", "1000", "-P", pipeline, "--csv"}
				bench := tool(t, "redis-benchmark", append(args, strings.Fields(test)...)...)
				kills += killWhile(t, p, control, 20, 2, func() error {
					out, err := bench.CombinedOutput()
					if text := strings.ToLower(string(out)); err != nil || strings.Contains(text, "err") {
						return fmt.Errorf("broken promise: no client notices a takeover: %s: %w:\n%s", test, err, text)
					}
					return nil
				})
			}
			require.Positive(t, kills)
			require.EqualValues(t, kills, p.Status().Takeovers)
		})
	}
}

func TestRedisCliDoesNotNoticeThatThePrimaryIsKilled(t *testing.T) {
	t.Parallel()
	p, port := start(t, pair.PrimaryComputes)
	const times = 300
	cli := tool(t, "redis-cli", "-p", port, "-r", strconv.Itoa(times), "-i", "0.001", "INCRBY", "n", "7")
	var out []byte
	killWhile(t, p, dial(t, port), 1, 5, func() (err error) {
		out, err = cli.CombinedOutput()
		return err
	})
	var want strings.Builder
	for i := range times {
		fmt.Fprintln(&want, 7*(i+1))
	}
	require.Equal(t, want.String(), string(out), "broken promise: every request is answered once and applied once")

	cli = tool(t, "redis-cli", "-p", port)
	cli.Stdin = strings.NewReader("MULTI\nRPUSH l a b c\nLRANGE l 0 -1\nEXEC\nHSET h f v\nHGETALL h\nEXPIRE h 100\nTTL h\nGET l\n")
	out, err := cli.CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "OK\nQUEUED\nQUEUED\n3\na\nb\nc\n1\nf\nv\n1\n100\nWRONGTYPE Operation against a key holding the wrong kind of value\n\n", string(out))
}

// counters are connections that each count a key of their own up, many requests at a time.
func counters(port string, connections, rounds, pipeline int) error {
	errs := make([]error, connections)
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() { errs[i] = countUp(port, fmt.Sprint("counter", i), rounds, pipeline) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func countUp(port, key string, rounds, pipeline int) error {
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	batch := []byte(strings.Repeat(fmt.Sprintf("*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", len(key), key), pipeline))
	in := bufio.NewReader(c)
	for n := 0; n < rounds*pipeline; {
		if _, err := c.Write(batch); err != nil {
			return fmt.Errorf("%s after %d: %w", key, n, err)
		}
		for range pipeline {
			n++
			line, err := in.ReadString('\n')
			if err != nil {
				return fmt.Errorf("%s after %d: %w", key, n, err)
			}
			if want := fmt.Sprintf(":%d\r\n", n); line != want {
				return fmt.Errorf("broken promise: every reply of %s is the next number: want %q, got %q", key, want, line)
			}
		}
	}
	return nil
}

func TestPipelinedCountersNeitherSkipNorRepeatWhenThePrimaryIsKilled(t *testing.T) {
	t.Parallel()
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			p, port := start(t, mode)
			control := dial(t, port)
			const connections, rounds, pipeline, enough = 5, 200, 16, 5
			for kills := 0; kills < enough; {
				kills += killWhile(t, p, control, connections, enough-kills, func() error { return counters(port, connections, rounds, pipeline) })
				control.say("FLUSHALL") // each time from 0
				require.Equal(t, "+OK", control.hear())
			}
		})
	}
}

// What a connection has set, and a transaction that it has begun, belong to the state as well.
func TestASessionOutlivesThePrimary(t *testing.T) {
	t.Parallel()
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			p, port := start(t, mode)
			c := dial(t, port)
			say := func(command string, want ...string) {
				t.Helper()
				c.say(command)
				for _, w := range want {
					require.Equal(t, w, c.hear(), command)
				}
			}
			kill := func() { p.Kill(p.WaitProtected().Primary) }
			say("SELECT 5", "+OK")
			say("CLIENT SETNAME ada", "+OK")
			say("SET short 1 PX 50", "+OK")
			say("SADD s a b c d e f g h", ":8")
			say("WATCH s", "+OK")
			kill()
			say("MULTI", "+OK")
			say("INCR n", "+QUEUED")
			kill()
			say("INCR n", "+QUEUED")
			say("CLIENT GETNAME", "+QUEUED")
			kill()
			say("EXEC", "*3", ":1", ":2", "$3", "ada")
			kill()
			say("SELECT 5", "+OK")
			for left := 8; left > 0; left-- {
				say("SCARD s", ":"+strconv.Itoa(left))
				say("SPOP s", "$1")
				c.hear()
			}
			kill()
			require.Eventually(t, func() bool { // nobody asks for the key: the sweep takes it, on whichever member
				c.say("DBSIZE")
				return c.hear() == ":1"
			}, 10*time.Second, 5*time.Millisecond, "only n is left")
			say("*1\r\n$-5", "-ERR Protocol error: invalid bulk length")
			_, err := c.in.ReadByte()
			require.ErrorContains(t, err, "EOF")
		})
	}
}
