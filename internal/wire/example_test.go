package wire_test

import (
	"fmt"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// Two requests that are ready together share a packet.
func Example() {
	requests := []wire.Frame{
		{Kind: wire.KindRequest, ID: 41, Low: 41, Method: []byte("deposit")},
		{Kind: wire.KindRequest, ID: 42, Low: 41, Method: []byte("audit")},
	}
	pkt := wire.Begin(nil)
	for i := range requests {
		var err error
		if pkt, err = wire.Append(pkt, &requests[i]); err != nil {
			panic(err)
		}
	}
	wire.Finish(pkt, 7)

	p, err := wire.Parse(pkt)
	if err != nil {
		panic(err)
	}
	fmt.Println("epoch", p.Epoch())
	for {
		var f wire.Frame
		ok, err := p.Next(&f)
		if err != nil {
			panic(err)
		}
		if !ok {
			break
		}
		fmt.Printf("%s %d: %s\n", f.Kind, f.ID, f.Method)
	}
	// Output:
	// epoch 7
	// request 41: deposit
	// request 42: audit
}
