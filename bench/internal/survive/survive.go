package survive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// What clients that know nothing of pairs notice of a primary that is killed twice a second: redis-benchmark, wrk and curl
// as they are installed, clients in Go that check every reply, and writers of a file. Counted is what must not happen:
// errors, lost connections, wrong replies, requests handled twice or not at all.

type plan struct {
	Parts       []string      `json:"parts"`
	Length      time.Duration `json:"length_ns"`     // of each client's run under kills, at least
	Every       time.Duration `json:"kill_every_ns"` // mean time between two kills, while the pair is protected
	Connections int           `json:"connections"`   // of redis-benchmark and of wrk
	Tests       []string      `json:"tests"`         // of redis-benchmark: its default set
	Test        time.Duration `json:"test_ns"`       // of each of them under kills, about
	Rounds      int           `json:"rounds"`        // of the comparison with a server without a backup
	Slice       time.Duration `json:"round_test_ns"` // of each test there, about
	Batch       int           `json:"curl_batch"`    // requests on one connection of curl
	Strict      bool          `json:"strict,omitempty"`
}

// allParts are what --parts chooses from.
var allParts = []string{"redis", "web", "file"}

// Command is the verb survive.
func Command(o *figures.Options) *cobra.Command {
	p := plan{Length: 30 * time.Second, Every: 500 * time.Millisecond, Connections: 50,
		Tests: redisTests, Test: 2 * time.Second, Rounds: 5, Slice: 250 * time.Millisecond, Batch: 5000}
	c := &cobra.Command{Use: "survive", Short: "What unmodified clients notice of a primary that is killed twice a second", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, part := range p.Parts {
				if !slices.Contains(allParts, part) {
					return fmt.Errorf("unknown part %q: expected some of %s", part, strings.Join(allParts, ","))
				}
			}
			if o.Quick {
				p.Length, p.Test, p.Rounds, p.Slice = min(p.Length, 1500*time.Millisecond), 400*time.Millisecond, 1, 60*time.Millisecond
				p.Batch = 1000
				p.Tests = []string{"set", "incr", "lpush", "lrange_100"}
			}
			s := &survival{p: p}
			if err := world.Verb(c.OutOrStdout(), o, "survive", &p, s.run); err != nil {
				return err
			}
			return s.verdict()
		}}
	f := c.Flags()
	f.DurationVar(&p.Length, "length", p.Length, "of each client's run under kills, at least")
	f.StringSliceVar(&p.Parts, "parts", allParts, "what to run")
	f.BoolVar(&p.Strict, "strict", false, "fail if a client is not installed, and its part was left out")
	return c
}

// survival is one run of the verb.
type survival struct {
	p plan
	w *world.World
	r *figures.Report

	results survivors
}

func (s *survival) run(ctx context.Context, w *world.World, r *figures.Report) error {
	s.w, s.r = w, r
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"redis", s.redis}, {"web", s.web}, {"file", s.file}} {
		if !slices.Contains(s.p.Parts, part.name) {
			continue
		}
		if err := part.run(ctx); ctx.Err() != nil {
			return err
		} else if err != nil { // the others are worth knowing of
			s.result(part.name).fail(1, err.Error())
		}
	}
	r.Note("rates of redis-benchmark are without kills; all others are under kills, those of net/http and curl beside each other")
	if errs, wrong := s.failures(); errs+wrong > 0 {
		r.Note("%s", strings.TrimSpace(w.Complaints()))
	}
	return nil
}

// failures adds up what must not happen.
func (s *survival) failures() (errs, wrong int) {
	for _, res := range s.results {
		errs, wrong = errs+res.Errors, wrong+res.Wrong
	}
	return errs, wrong
}

// verdict is an error if something happened that must not.
func (s *survival) verdict() error {
	if errs, wrong := s.failures(); errs+wrong > 0 {
		return fmt.Errorf("%d errors and %d wrong replies: expected none", errs, wrong)
	}
	if s.p.Strict && slices.ContainsFunc(s.results, func(res *survived) bool { return res.LeftOut != "" }) {
		return errors.New("clients were left out, and --strict was given")
	}
	return nil
}

// result begins the result of one client.
func (s *survival) result(client string) *survived {
	res := &survived{Client: client}
	s.results = append(s.results, res)
	s.r.Results = s.results
	return res
}
