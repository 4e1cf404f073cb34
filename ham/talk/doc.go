// Package talk is what HAM and its clients say to each other: the words of the protocol, and nothing that acts.
//
// There are two channels. What changes something is a request to the process pair called [Pair] (package receive, method
// [MethodAsk]): so it is applied once, whatever becomes of HAM meanwhile. What only looks is read from a socket of plain lines
// beside it ([ReadSocket]): one [Query] in JSON, answered by [Line]s in JSON; it begins anew with another HAM, where it stopped.
package talk
