// Package load makes requests at a fixed rate, whatever becomes of the ones before (an open loop).
//
// Invariant: request number i is intended to be sent at the beginning plus i periods, and its wait counts from then. A client that is
// still busy with an earlier request, a server that is away, or this process being late makes a wait longer, and never
// makes a request disappear: so an outage shows with every request that fell into it ("coordinated omission" is what hides them).
package load
