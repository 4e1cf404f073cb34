package survive

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// redis-benchmark against examples/redis: its rates with a backup and without one, then its whole default set under kills,
// beside connections that check every reply.

// redisTests is the default set of redis-benchmark, by the names that its -t takes. Each test is a process of its own,
// with requests for a time: some tests are thirty times as fast as others.
var redisTests = []string{"ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop", "sadd", "hset", "spop",
	"zadd", "zpopmin", "lrange_100", "lrange_300", "lrange_500", "lrange_600", "mset"}

const (
	checkedConnections = 4 // beside redis-benchmark
	checkedDepth       = 16
)

// rated is what redis-benchmark says of one test.
type rated struct {
	test string
	rate float64 // requests per second
}

// parseBenchmark reads what redis-benchmark --csv prints: the name of each test, its rate, and latencies. rest is what is
// nothing of the kind.
func parseBenchmark(stdout []byte) (tests []rated, rest []string) {
	for line := range strings.Lines(string(stdout)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		fields, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil || len(fields) < 2 {
			rest = append(rest, line)
			continue
		}
		if fields[0] == "test" && fields[1] == "rps" {
			continue
		}
		rate, err := strconv.ParseFloat(fields[1], 64)
		if err != nil || !(rate > 0) || math.IsInf(rate, 0) {
			rest = append(rest, line)
			continue
		}
		tests = append(tests, rated{fields[0], rate})
	}
	return tests, rest
}

// tested is one run of one test.
type tested struct {
	world.Execution
	requests int
	rate     float64
	trouble  []string
}

// lost reports whether the client was told that a connection had ended.
func (t *tested) lost() bool {
	return slices.ContainsFunc(t.trouble, func(s string) bool {
		return strings.Contains(s, "reset by peer") || strings.Contains(s, "closed the connection")
	})
}

// benchmark runs one test of redis-benchmark with n requests.
func (s *survival) benchmark(ctx context.Context, on *redisServer, test string, depth, n int) (t tested, err error) {
	if test == "lpush" || strings.HasPrefix(test, "lrange") { // an lrange pushes as many elements before it begins, each time
		if _, err := on.control.ask("FLUSHDB"); err != nil {
			t.trouble = append(t.trouble, fmt.Sprintf("the connection that is there all the time: %v", err))
		}
	}
	host, port, err := net.SplitHostPort(on.addr)
	if err != nil {
		return t, err
	}
	limited, cancel := context.WithTimeout(ctx, hangsAfter)
	defer cancel()
	t.Execution, err = s.w.Execute(limited, "redis-benchmark", "-h", host, "-p", port, "-c", strconv.Itoa(s.p.Connections),
		"-P", strconv.Itoa(depth), "-n", strconv.Itoa(n), "-t", test, "--csv")
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		t.trouble, err = append(t.trouble, fmt.Sprintf("%s has not ended after %v", test, hangsAfter)), nil
	}
	if err != nil {
		return t, err
	}
	tests, rest := parseBenchmark(t.Stdout)
	t.trouble = append(t.trouble, append(rest, t.Execution.Trouble()...)...)
	t.requests = n * len(tests)
	if len(tests) > 0 {
		t.rate = tests[len(tests)-1].rate // what comes before the last only prepares it
	} else if len(t.trouble) == 0 {
		t.trouble = append(t.trouble, "no result of "+test)
	}
	return t, nil
}

// hangsAfter is when a test of a few seconds is given up.
const hangsAfter = 2 * time.Minute

// redisServer is examples/redis, running.
type redisServer struct {
	*server
	control *counter // a connection that is there all the time
}

// serveRedis starts it, as a pair or alone.
func (s *survival) serveRedis(ctx context.Context, bin string, alone bool) (*redisServer, error) {
	runDir, ready, args := s.w.RunDir(), subject.Protected, []string(nil)
	if alone {
		runDir, args = filepath.Join(s.w.Base, "alone"), []string{"--alone"}
		ready = func(p *registry.Page) bool { return p.Primary != nil }
	}
	srv, err := serve(ctx, s.w, bin, runDir, ready, args...)
	if err != nil {
		return nil, err
	}
	control, err := dialCounter(srv.addr, "control")
	if err == nil {
		_, err = control.ask("SELECT", "0")
	}
	return &redisServer{srv, control}, err
}

func (r *redisServer) stop(ctx context.Context) {
	_ = r.control.conn.Close()
	_ = r.server.stop(ctx)
}

// killRedis runs the tests under kills, every one once and then as many as fit, beside connections that check every reply. Without
// contests there are only these.
func (s *survival) killRedis(ctx context.Context, paired *redisServer, res *survived, contests []*contest) error {
	checked, err := startCounters(paired.addr, checkedConnections, checkedDepth)
	if err != nil {
		return err
	}
	defer checked.close()
	began := time.Now()
	var runs []tested
	k, err := subject.UnderKills(ctx, s.w, paired.name, s.p.Every, checked.look, func(ctx context.Context) (err error) {
		runs, err = s.tests(ctx, paired, contests, began.Add(s.p.Length), res)
		if contests == nil {
			world.Pause(ctx, s.p.Length)
		}
		return err
	})
	checked.finish(res)
	if err != nil {
		return err
	}
	res.under(k)
	res.take(runs, k)
	if contests == nil {
		res.Requests = res.Checked
		res.per(time.Since(began))
	}
	return nil
}

// tests runs redis-benchmark until then, but every test at least once.
func (s *survival) tests(ctx context.Context, paired *redisServer, contests []*contest, until time.Time, res *survived) (runs []tested, err error) {
	for i := 0; i < len(contests) || len(contests) > 0 && time.Now().Before(until); i++ {
		c := contests[i%len(contests)]
		t, err := s.benchmark(ctx, paired, c.test, res.Pipeline, s.requests(c.rates[0].Median(), s.p.Test, res.Pipeline))
		if err != nil {
			return runs, err
		}
		runs = append(runs, t)
	}
	return runs, nil
}

// connecting is how long redis-benchmark may take to start and to make its connections.
const connecting = 100 * time.Millisecond

// take adds up what redis-benchmark has told. A connection that is reset by a kill in the very moment in which it is accepted
// is told apart by the time.
func (v *survived) take(runs []tested, k *subject.Killer) {
	for _, t := range runs {
		v.Requests += t.requests
		switch {
		case len(t.trouble) == 0:
		case t.lost() && t.requests == 0 && k.Struck(world.Span{From: t.Ran.From, To: t.Ran.From.Add(connecting)}):
			v.Accepting++
			v.fail(0, t.trouble...)
		default:
			v.fail(1, t.trouble...)
		}
	}
}
