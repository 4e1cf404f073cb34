// Package receive is how requesters and pairs talk: the requester's side of an open, and the server's inbox and
// table of openers.
//
// Invariant: a request is applied at most once, however often it is sent and whoever is primary meanwhile, and its
// caller learns the outcome once: the reply, byte for byte the same on every try, or an error that says whether the
// request may have been applied. At the requester a sync ID is given once and kept on every retry (Conn); at the
// server no ID is run that was run before, even if its reply is forgotten (Opener).
//
// # Calling a pair
//
//	bank, err := receive.Dial(ctx, "bank")
//	balance, err := receive.Call[int64](ctx, bank, "transfer", Transfer{From: "ada", To: "bob", Amount: 5})
//
// A Conn outlives takeovers and switches: it sends again what is unanswered, under the old IDs, when a new primary
// speaks or the connection is lost, and callers notice nothing but the time. It ends when both members have died,
// for their successor is another instance that knows nothing of the open (ErrWrongID); Dial again, and see
// MayBeApplied for what became of the calls under way.
//
// A requester that is itself a pair checkpoints its opens: Conn.State, Conn.Prepare, Resume, Conn.Reissue.
//
// # Serving
//
// An application normally uses package pair, which serves with the parts below. Openers holds the opens, and
// Opener.Decide says for each request whether to run it, to answer from the saved replies, or to refuse it. An Inbox
// is NonStop's $RECEIVE: one queue of requests, system messages and what the primary sends to its backup, read in one
// loop, answered in any order.
//
// # What differs from NonStop
//
//   - Sync IDs start at 1 and have 64 bits; they count requests only, not opens and closes.
//   - An ID above the last one but not seen is new even if a higher one has been answered: see Opener.
//   - Of the system messages only Open waits for a reply. The others are read, and that is all.
//   - ReadUpdate at full receive depth still delivers messages that need no reply, and never waits.
//   - An open is itself a request that may be repeated: its cookie is chosen by the requester.
//
// Numbers of errors and system messages are NonStop's where it has one. The sources are named as GPG (Guardian
// Programmer's Guide), GPCR (Guardian Procedure Calls Reference), GEM (Guardian Procedure Errors and Messages).
package receive
