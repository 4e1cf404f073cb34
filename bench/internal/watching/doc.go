// Package watching measures what HAM costs, and how soon it acts.
//
// Invariant: beside each figure of HAM stands that of a bare program which does the same to the same processes, or to processes of
// the same kind, and nothing else; the two take turns. What must not happen at all is counted, by comparing what HAM tells with what was
// done.
package watching
