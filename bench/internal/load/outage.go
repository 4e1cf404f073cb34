package load

import (
	"fmt"
	"slices"
	"time"
)

// Outage is what clients saw of a fault. Times are since the fault.
type Outage struct {
	Before  int           // replies before the fault
	Gap     time.Duration // to the first reply after the change of roles
	Seen    time.Duration // how long the first request that then got a reply had waited, since the fault or since it was intended
	Silence time.Duration // between the last reply before the change of roles and the first after it
	Worst   time.Duration // the longest wait of a request that was under way at the fault, or was intended after it
	Found   bool          // there was such a reply
}

// LeastBefore is how many replies before a fault make a measurement.
const LeastBefore = 20

// FindOutage finds the outage of a fault in what became of the requests. after tells a reply by the new primary.
func FindOutage(replies []Reply, fault time.Duration, after func(*Reply) bool) (o Outage) {
	first := (*Reply)(nil)
	for i := range replies {
		p := &replies[i]
		if p.Err != nil {
			continue
		}
		if p.Done <= fault {
			o.Before++
			continue
		}
		o.Worst = max(o.Worst, p.Wait())
		if after(p) && (first == nil || p.Done < first.Done) {
			first = p
		}
	}
	if first == nil {
		return o
	}
	o.Found = true
	last := time.Duration(0)
	for i := range replies {
		if p := &replies[i]; p.Err == nil && p.Done < first.Done {
			last = max(last, p.Done)
		}
	}
	o.Silence = first.Done - last
	o.Gap = first.Done - fault
	o.Seen = first.Done - max(fault, first.Intended)
	return o
}

// Void says why a measurement of an outage says nothing; "": it does say something. Before a fault there must have been traffic: enough
// replies, at least half of those that were intended, and the last of them not long ago.
func Void(replies []Reply, fault time.Duration, cfg *Config) string {
	var done []time.Duration
	for i := range replies {
		if p := &replies[i]; p.Err == nil && p.Done <= fault {
			done = append(done, p.Done)
		}
	}
	intended := int(fault.Seconds() * cfg.Rate)
	switch {
	case len(done) < LeastBefore:
		return fmt.Sprintf("%d replies before the fault, at least %d make a measurement", len(done), LeastBefore)
	case len(done) < intended/2:
		return fmt.Sprintf("%d replies before the fault where %d were intended, at least half make a measurement", len(done), intended)
	}
	if silent := fault - slices.Max(done); silent > quietPeriods*cfg.Intended(1)+quietTime {
		return fmt.Sprintf("no reply in the last %v before the fault", silent.Round(time.Microsecond))
	}
	return ""
}

// How long the last reply before a fault may be ago: so many periods of the load, and what a busy machine takes away.
const (
	quietPeriods = 10
	quietTime    = 5 * time.Millisecond
)
