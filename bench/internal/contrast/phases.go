package contrast

import (
	"context"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// phases are those of takeovers, from the registry's page.
type phases struct {
	noticed, fenced, sealed, drained, serving, replied, restored figures.Values
}

// follow has strike's takeover recorded when it is complete.
func (ph *phases) follow(t *pairUnderTest, strike func(context.Context, time.Duration) (outage, error)) func(context.Context, time.Duration) (outage, error) {
	return func(ctx context.Context, after time.Duration) (outage, error) {
		o, err := strike(ctx, after)
		if err != nil {
			return o, err
		}
		epoch := t.Conn.Epoch()
		p, err := t.Await(ctx, "protected again", func(p *registry.Page) bool {
			k := p.LastTakeover
			return subject.Protected(p) && k != nil && k.Epoch == epoch && k.FencedUS > 0 && k.RestoredUS > 0
		})
		if err != nil {
			return o, err
		}
		k := p.LastTakeover
		ph.noticed = append(ph.noticed, float64(k.At.Sub(o.struck))/1e3)
		for _, x := range []struct {
			to *figures.Values
			us int64
		}{{&ph.fenced, k.FencedUS}, {&ph.sealed, k.SealedUS}, {&ph.drained, k.DrainedUS}, {&ph.serving, k.ServingUS},
			{&ph.replied, k.FirstReplyUS}, {&ph.restored, k.RestoredUS}} {
			*x.to = append(*x.to, float64(x.us))
		}
		return o, nil
	}
}

func (ph *phases) report(r *figures.Report, of string) {
	r.Row(ph.noticed.Row("phase: noticed, since the SIGKILL"+of, "µs"))
	const since = ", since noticed"
	for _, x := range []struct {
		v    figures.Values
		name string
	}{{ph.sealed, "sealed"}, {ph.drained, "drained"}, {ph.serving, "serving"}, {ph.replied, "first reply"}, {ph.fenced, "fenced"},
		{ph.restored, "redundancy restored"}} {
		r.Row(x.v.Row("phase: "+x.name+since+of, "µs"))
	}
}
