// Package page draws what was measured: one page of HTML that needs nothing besides itself, and its charts as SVG and PNG.
//
// Invariant: the page is complete for any data. A chart without data says so instead of being drawn, a figure that was not
// measured is a dash, and no NaN or infinity is ever shown.
package page
