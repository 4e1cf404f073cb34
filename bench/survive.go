package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// What clients that know nothing of pairs notice of a primary that is killed twice a second: redis-benchmark, wrk and curl
// as they are installed, clients in Go that check every reply, and writers of a file. Counted is what must not happen:
// errors, lost connections, wrong replies, requests handled twice or not at all.

type survivePlan struct {
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

// surviveParts are what --parts chooses from.
var surviveParts = []string{"redis", "web", "file"}

func surviveCommand(o *options) *cobra.Command {
	p := survivePlan{Length: 30 * time.Second, Every: 500 * time.Millisecond, Connections: 50,
		Tests: redisTests, Test: 2 * time.Second, Rounds: 5, Slice: 250 * time.Millisecond, Batch: 5000}
	c := &cobra.Command{Use: "survive", Short: "What unmodified clients notice of a primary that is killed twice a second", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, part := range p.Parts {
				if !slices.Contains(surviveParts, part) {
					return fmt.Errorf("unknown part %q: expected some of %s", part, strings.Join(surviveParts, ","))
				}
			}
			if o.Quick {
				p.Length, p.Test, p.Rounds, p.Slice = min(p.Length, 1500*time.Millisecond), 400*time.Millisecond, 1, 60*time.Millisecond
				p.Batch = 1000
				p.Tests = []string{"set", "incr", "lpush", "lrange_100"}
			}
			s := &survival{p: p}
			if err := measure(o, "survive", &p, s.run); err != nil {
				return err
			}
			return s.verdict()
		}}
	f := c.Flags()
	f.DurationVar(&p.Length, "length", p.Length, "of each client's run under kills, at least")
	f.StringSliceVar(&p.Parts, "parts", surviveParts, "what to run")
	f.BoolVar(&p.Strict, "strict", false, "fail if a client is not installed, and its part was left out")
	return c
}

// survival is one run of the verb.
type survival struct {
	p survivePlan
	w *world
	r *report
}

func (s *survival) run(ctx context.Context, w *world, r *report) error {
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
	r.note("rates of redis-benchmark are without kills; all others are under kills, those of net/http and curl beside each other")
	if errs, wrong := s.failures(); errs+wrong > 0 {
		r.note("%s", strings.TrimSpace(w.complaints()))
	}
	return nil
}

// failures adds up what must not happen.
func (s *survival) failures() (errs, wrong int) {
	for _, res := range s.r.Results {
		errs, wrong = errs+res.Errors, wrong+res.Wrong
	}
	return errs, wrong
}

// verdict is an error if something happened that must not.
func (s *survival) verdict() error {
	if errs, wrong := s.failures(); errs+wrong > 0 {
		return fmt.Errorf("%d errors and %d wrong replies: expected none", errs, wrong)
	}
	if s.p.Strict && slices.ContainsFunc(s.r.Results, func(res *survived) bool { return res.LeftOut != "" }) {
		return errors.New("clients were left out, and --strict was given")
	}
	return nil
}

// result begins the result of one client.
func (s *survival) result(client string) *survived {
	res := &survived{Client: client}
	s.r.Results = append(s.r.Results, res)
	return res
}
