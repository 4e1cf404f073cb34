package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// What HAM costs, and how soon it acts: beside bare programs that do the same to the same processes and nothing else.

type hamPlan struct {
	Parts    []string      `json:"parts"`
	Deaths   int           `json:"deaths"`   // of a program that HAM watches, and of one that a bare watcher does
	Entities int           `json:"entities"` // attached, and beating
	Rest     time.Duration `json:"rest_ns"`  // until everything that was begun is done
	Idle     time.Duration `json:"idle_ns"`  // for which the processor time is counted
	Words    int           `json:"words"`    // that beat fast
	Rate     int           `json:"rate"`     // deaths a minute while HAM is killed
	Kills    int           `json:"kills"`    // of HAM
	Every    time.Duration `json:"kill_every_ns"`
	Programs int           `json:"programs"` // that die
}

// hamParts are what --parts chooses from.
var hamParts = []string{"notice", "many", "beats", "kills"}

func hamCommand(o *options) *cobra.Command {
	p := hamPlan{Deaths: 300, Entities: 10_000, Rest: 3 * time.Second, Idle: 10 * time.Second, Words: 100, Rate: 1000, Kills: 15, Every: 2 * time.Second, Programs: 40}
	c := &cobra.Command{Use: "ham", Short: "What HAM costs, and how soon it acts", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, part := range p.Parts {
				if !slices.Contains(hamParts, part) {
					return fmt.Errorf("unknown part %q: expected some of %s", part, strings.Join(hamParts, ","))
				}
			}
			if o.Quick {
				p.Deaths, p.Entities, p.Kills = min(p.Deaths, 40), min(p.Entities, 1000), min(p.Kills, 3)
				p.Rest, p.Idle, p.Every = min(p.Rest, time.Second), min(p.Idle, 2*time.Second), min(p.Every, time.Second)
			}
			return measure(o, "ham", &p, func(ctx context.Context, w *world, r *report) error { return benchHAM(ctx, w, r, p) })
		}}
	f := c.Flags()
	f.StringSliceVar(&p.Parts, "parts", hamParts, "what to run")
	f.IntVar(&p.Deaths, "deaths", p.Deaths, "of a program that HAM watches, and of one that a bare watcher does")
	f.IntVar(&p.Entities, "entities", p.Entities, "that are attached, and that beat")
	f.DurationVar(&p.Idle, "idle", p.Idle, "for which the processor time is counted")
	f.IntVar(&p.Kills, "kills", p.Kills, "of HAM, while programs die")
	f.DurationVar(&p.Every, "every", p.Every, "between two kills of HAM, on average")
	f.IntVar(&p.Rate, "rate", p.Rate, "deaths a minute meanwhile")
	return c
}

func benchHAM(ctx context.Context, w *world, r *report, p hamPlan) error {
	for _, part := range []struct {
		name string
		run  func(ctx context.Context, w *world, r *report, p hamPlan) error
	}{{"notice", benchNotice}, {"many", benchMany}, {"beats", benchBeats}, {"kills", benchKills}} {
		if !slices.Contains(p.Parts, part.name) {
			continue
		}
		if err := part.run(ctx, w, r, p); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
