package watching

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// plan says how much is measured.
type plan struct {
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

// parts are what --parts chooses from.
var parts = []string{"notice", "many", "beats", "kills"}

// Command is the verb ham.
func Command(o *figures.Options) *cobra.Command {
	p := plan{Deaths: 300, Entities: 10_000, Rest: 3 * time.Second, Idle: 10 * time.Second, Words: 100, Rate: 1000, Kills: 15, Every: 2 * time.Second, Programs: 40}
	c := &cobra.Command{Use: "ham", Short: "What HAM costs, and how soon it acts", Args: cobra.NoArgs}
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, part := range p.Parts {
			if !slices.Contains(parts, part) {
				return fmt.Errorf("unknown part %q: expected some of %s", part, strings.Join(parts, ","))
			}
		}
		if o.Quick {
			p.Deaths, p.Entities, p.Kills = min(p.Deaths, 40), min(p.Entities, 1000), min(p.Kills, 3)
			p.Rest, p.Idle, p.Every = min(p.Rest, time.Second), min(p.Idle, 2*time.Second), min(p.Every, time.Second)
		}
		return world.Verb(c.OutOrStdout(), o, "ham", &p, func(ctx context.Context, w *world.World, r *figures.Report) error { return run(ctx, w, r, p) })
	}
	f := c.Flags()
	f.StringSliceVar(&p.Parts, "parts", parts, "what to run")
	f.IntVar(&p.Deaths, "deaths", p.Deaths, "of a program that HAM watches, and of one that a bare watcher does")
	f.IntVar(&p.Entities, "entities", p.Entities, "that are attached, and that beat")
	f.DurationVar(&p.Idle, "idle", p.Idle, "for which the processor time is counted")
	f.IntVar(&p.Kills, "kills", p.Kills, "of HAM, while programs die")
	f.DurationVar(&p.Every, "every", p.Every, "between two kills of HAM, on average")
	f.IntVar(&p.Rate, "rate", p.Rate, "deaths a minute meanwhile")
	f.IntVar(&p.Programs, "programs", p.Programs, "that die")
	f.IntVar(&p.Words, "words", p.Words, "of heartbeats that beat 100 times a second")
	f.DurationVar(&p.Rest, "rest", p.Rest, "until everything that was begun is done")
	return c
}

func run(ctx context.Context, w *world.World, r *figures.Report, p plan) error {
	for _, part := range []struct {
		name string
		run  func(ctx context.Context, w *world.World, r *figures.Report, p plan) error
	}{{"notice", measureNotice}, {"many", measureMany}, {"beats", measureBeats}, {"kills", measureKills}} {
		if !slices.Contains(p.Parts, part.name) {
			continue
		}
		if err := part.run(ctx, w, r, p); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// Processes are the programs that take part, as hidden verbs. HAM leaves processor profiles in a directory; "": none.
func Processes(profile *string) []*cobra.Command {
	return []*cobra.Command{hamProcess(profile), watchProcess(), beatProcess(), lookProcess()}
}
