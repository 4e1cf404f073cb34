// Package reporting runs a chosen set of measurements and writes what they say: a page, its charts, and the raw figures.
//
// Invariant: the page shows nothing that is not in report.json beside it, and what was not measured is named with the reason.
package reporting
