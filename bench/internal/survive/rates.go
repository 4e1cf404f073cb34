package survive

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

// redis runs everything that is to be run against examples/redis.
func (s *survival) redis(ctx context.Context) error {
	const tool = "redis-benchmark"
	bin, leftOut, err := build(ctx, s.w, "redis")
	if err != nil {
		return err
	}
	if leftOut != "" {
		s.result(tool).LeftOut = leftOut
		return nil
	}
	paired, err := s.serveRedis(ctx, bin, false)
	if err != nil {
		return err
	}
	defer paired.stop(ctx)
	if leftOut = missing(tool); leftOut != "" {
		s.result(tool).LeftOut = leftOut
		return s.killRedis(ctx, paired, s.result("INCR"), nil)
	}
	for _, depth := range []int{1, checkedDepth} {
		res := s.result(tool)
		res.Pipeline = depth
		contests, err := s.compare(ctx, bin, paired, res)
		if err == nil {
			err = s.killRedis(ctx, paired, res, contests)
		}
		if err != nil {
			return err
		}
		s.r.AtLeast("rate of "+res.name()+", pair / no backup", res.Ratio, .7)
		worst := slices.MinFunc(res.Tests, func(a, b testRates) int { return cmp.Compare(a.Ratio, b.Ratio) })
		s.r.Info("the least of its tests, "+worst.Test, worst.Ratio)
	}
	return nil
}

// contest is one test of redis-benchmark against both servers.
type contest struct {
	test  string
	n     int               // requests of one run
	sizes figures.Values    // n of each round
	rates [2]figures.Values // of each round: of the pair, and of the server without a backup
}

// testRates are the medians of a contest.
type testRates struct {
	Test    string  `json:"test"`
	Rate    float64 `json:"rate"`
	Simplex float64 `json:"rate_simplex"`
	Ratio   float64 `json:"ratio"`
}

const warmUps = 2 // rounds in which is found out how many requests take how long

// compare runs every test against the pair and against a server without a backup, in turns.
func (s *survival) compare(ctx context.Context, bin string, paired *redisServer, res *survived) ([]*contest, error) {
	alone, err := s.serveRedis(ctx, bin, true)
	if err != nil {
		return nil, err
	}
	defer alone.stop(ctx)
	var all []*contest
	for _, test := range s.p.Tests {
		all = append(all, &contest{test: test, n: s.requests(0, 0, res.Pipeline)})
	}
	for round := range warmUps + s.p.Rounds {
		for i, c := range all {
			if err := s.round(ctx, c, [2]*redisServer{paired, alone}, (i+round)%2, res); err != nil {
				return nil, err
			}
			if round < warmUps && len(c.rates[0]) > 0 {
				*c = contest{test: c.test, n: s.requests(c.rates[0].Median(), s.p.Slice, res.Pipeline)}
			}
		}
	}
	sum(all, res)
	return all, nil
}

// requests is how many take so long, and at least what makes every connection work.
func (s *survival) requests(rate float64, long time.Duration, depth int) int {
	if rate == 0 { // not known yet
		return 20 * depth * s.p.Connections
	}
	return max(int(rate*long.Seconds()), 2*depth*s.p.Connections)
}

// round runs a test once against each server.
func (s *survival) round(ctx context.Context, c *contest, servers [2]*redisServer, first int, res *survived) error {
	var rates [2]float64
	for _, who := range [2]int{first, 1 - first} {
		t, err := s.benchmark(ctx, servers[who], c.test, res.Pipeline, c.n)
		if err != nil {
			return err
		}
		if len(t.trouble) > 0 {
			res.fail(1, t.trouble...)
		}
		rates[who] = t.rate
	}
	if rates[0] > 0 && rates[1] > 0 {
		c.sizes = append(c.sizes, float64(c.n))
		for who, rate := range rates {
			c.rates[who] = append(c.rates[who], rate)
		}
	}
	return nil
}

// sum fills in the rates of the whole set: of all requests of a round, over the time that they took.
func sum(all []*contest, res *survived) {
	var whole [2]figures.Values
	for round := 0; ; round++ {
		var n float64
		var took [2]float64
		for _, c := range all {
			if round < len(c.sizes) {
				n += c.sizes[round]
				for who := range took {
					took[who] += c.sizes[round] / c.rates[who][round]
				}
			}
		}
		if n == 0 {
			break
		}
		for who := range whole {
			whole[who] = append(whole[who], n/took[who])
		}
	}
	res.Rate, res.RateSimplex, res.Ratio = whole[0].Median(), whole[1].Median(), figures.Ratios(whole[0], whole[1]).Median()
	for _, c := range all {
		res.Tests = append(res.Tests, testRates{c.test, c.rates[0].Median(), c.rates[1].Median(), figures.Ratios(c.rates[0], c.rates[1]).Median()})
	}
}
