package tree

import (
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// conditionPage is about a condition.
func conditionPage(e *core.Entity, c *core.Condition) sheet {
	s := sheet{
		{"Path", core.Path{Entity: e.Name, Condition: c.Spec.Name}.String()}, {"Entity Pid", e.Process.PID}, {"Num Actions", len(c.Actions)},
		{"Condition ReArm", c.Spec.Flags&core.RearmCondition != 0}, {"Condition type", conditionType(c.Spec.On)},
	}
	switch c.Spec.On {
	case core.OnState:
		s = append(s, field{"From State", matchOf(c.Spec.From)}, field{"To State", matchOf(c.Spec.To)})
	case core.OnRaise:
		s = append(s, field{"Raise Type", matchOf(c.Spec.Type)}, field{"Raise Class", matchOf(c.Spec.Class)}, field{"Raise Severity", matchOf(c.Spec.Severity)})
	}
	if r := c.Spec.Resource; r != nil {
		s = append(s, field{"RSS Limit", limit(r.RSS)}, field{"CPU Limit", limit(r.CPU)}, field{"FD Limit", limit(r.FDs)}, field{"Samples In A Row", max(1, r.For)})
	}
	return append(s, sheet{
		{"Num Fired", c.Fired}, {"Last Fired", wall(c.LastFired)}, {"Enabled", !c.Disabled}, {"Flags", conditionFlags(c.Spec.Flags)}, {"Owner", ownerOf(c.Owner)},
	}...)
}

// limit returns a limit on resources; nil if there is none.
func limit[N int | int64 | float64](n N) any {
	if n == 0 {
		return nil
	}
	return n
}

func matchOf(x core.Match) said {
	if x.Any {
		return said{"ANY", x}
	}
	var values []string
	for _, v := range x.Values {
		values = append(values, strconv.FormatInt(v, 10))
	}
	words := strings.Join(values, ", ")
	if x.Not {
		words = "not " + words
	}
	return said{words, x}
}
