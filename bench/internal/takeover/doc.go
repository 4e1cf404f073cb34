// Package takeover injects faults into a live pair under load, and measures where the time goes until clients have replies again
// and the pair is protected again.
//
// Invariant: the cells of a block take turns, one fault each (round-robin, every round in another order), so that whatever else
// the machine does meets all of them; and a fault before which there was too little traffic is void, and never counts as a short
// gap.
//
// Times are since t0, the moment before the fault, on this process's monotonic clock:
//
//	t1 noticed    the backup knows                         from the pair's status page
//	t2 fenced     no instruction of the primary can run     "  (a death that is proven is fenced beside the serving)
//	   sealed     the log belongs to the new primary        "
//	t3 drained    and has been read to its end              "
//	t4 serving    with BackupLazy: has been replayed, too   "
//	t5 first reply at a client                             here
//	t6 restored   a new backup is synchronised             from the status page
package takeover
