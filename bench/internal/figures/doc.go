// Package figures keeps what was measured: distributions, handfuls of values, ratios, and the report they are printed from.
//
// Invariant: a figure is never made up. A distribution of nothing has N 0 and no percentile above 0, a ratio whose denominator is
// 0 is left out, and nothing here is NaN or infinite, so that every report can be written as JSON.
package figures
