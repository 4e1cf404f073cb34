package figures

import (
	"math"
	"slices"
)

// Values is a handful of figures, one of each round.
type Values []float64

// At returns the least value that the given part (0…1) of all do not exceed (the nearest rank); 0 of nothing.
func (v Values) At(part float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[max(int(math.Ceil(part*float64(len(s)))), 1)-1]
}

// Median returns the one in the middle, the lesser one of two; 0 of nothing.
func (v Values) Median() float64 { return v.At(.5) }

// Row returns the distribution.
func (v Values) Row(name, unit string) Row {
	return Row{Name: name, Unit: unit, N: int64(len(v)), Min: v.At(0), P50: v.Median(), P90: v.At(.9), P99: v.At(.99), Max: v.At(1)}
}

// Ratios divides the figures of the same rounds. A round that has nothing to divide by is left out.
func Ratios(over, under Values) Values {
	var out Values
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			out = append(out, over[i]/under[i])
		}
	}
	return out
}
