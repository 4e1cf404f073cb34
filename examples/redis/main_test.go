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

// killWhile kills the primary over and over, at most most times, until work is done.
func killWhile(t *testing.T, p *pairtest.Pair, most int, work func() error) (kills int) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for {
		if kills < most {
			p.Kill(p.WaitProtected().Primary)
			kills++
		}
		select {
		case err := <-done:
			require.NoError(t, err)
			p.WaitProtected()
			return kills
		default:
			if kills == most {
				require.NoError(t, <-done)
				return kills
			}
		}
	}
}

func TestRedisBenchmarkDoesNotNoticeThatThePrimaryIsKilled(t *testing.T) {
	t.Parallel()
	for _, pipeline := range []string{"1", "16"} {
		t.Run("pipeline "+pipeline, func(t *testing.T) {
			t.Parallel()
			p, port := start(t, pair.PrimaryComputes)
			bench := tool(t, "redis-benchmark", "-p", port, "-c", "20", "-n", "1000", "-r", "1000", "-P", pipeline, "--csv")
			var out []byte
			kills := killWhile(t, p, 20, func() (err error) {
				out, err = bench.CombinedOutput()
				return err
			})
			require.NotContains(t, strings.ToLower(string(out)), "err", "broken promise: no client notices a takeover")
			require.Equal(t, 21, strings.Count(string(out), "\n"), "the head and a line for each test of the default set:\n%s", out)
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
	killWhile(t, p, 5, func() (err error) {
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
			const connections, rounds, pipeline, enough = 5, 200, 16, 5
			for total := 0; total < enough; {
				total += killWhile(t, p, enough-total, func() error { return counters(port, connections, rounds, pipeline) })
				_, err := tool(t, "redis-cli", "-p", port, "FLUSHALL").Output() // each time from 0
				require.NoError(t, err)
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
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
			in := bufio.NewReader(c)
			say := func(command string, want ...string) {
				t.Helper()
				_, err := c.Write([]byte(command + "\r\n"))
				require.NoError(t, err)
				for _, w := range want {
					line, err := in.ReadString('\n')
					require.NoError(t, err)
					require.Equal(t, w, strings.TrimSpace(line), command)
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
				_, err := in.ReadString('\n')
				require.NoError(t, err)
			}
			kill()
			require.Eventually(t, func() bool { // nobody asks for the key: the sweep takes it, on whichever member
				_, err := c.Write([]byte("DBSIZE\r\n"))
				require.NoError(t, err)
				line, err := in.ReadString('\n')
				require.NoError(t, err)
				return line == ":1\r\n"
			}, 10*time.Second, 5*time.Millisecond, "only n is left")
			say("*1\r\n$-5", "-ERR Protocol error: invalid bulk length")
			_, err = in.ReadByte()
			require.ErrorContains(t, err, "EOF")
		})
	}
}
