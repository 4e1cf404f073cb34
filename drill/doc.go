// Package drill harms a running process pair on purpose, while a client of your own uses it, and tells what the client saw.
//
// Its invariant: a fault is done to a pair that is protected, and to nothing else; the next one waits until the pair is protected
// again; and a fault before which there was too little traffic to tell anything is void, not good.
//
//	report, err := drill.Config{Name: "bank", Call: func(ctx context.Context) error {
//		_, err := receive.Call[int64](ctx, bank, "deposit", Deposit{To: "ada", Amount: 1})
//		return err
//	}}.Run(ctx)
//
// The load is open: requests have times at which they are to be sent, whether or not those before them have been answered, and
// a wait counts from that time. So an outage is felt by all requests that fall into it, as your clients would feel it. A drill
// without a client of yours reads the phases of the takeover from the pair's status page only.
//
// It is for a pair in production, too: that is what drills are for. What a pair does not promise (docs/guarantees.md) can be lost.
package drill
