package wire

import "testing"

// A request with a body of 64 B, alone in its packet, and sixteen of them in one.
func BenchmarkPack(b *testing.B) {
	req := Frame{Kind: KindRequest, ID: 1, Method: []byte("transfer"), Body: make([]byte, 64)}
	for _, n := range []int{1, 16} {
		b.Run(map[int]string{1: "one", 16: "sixteen"}[n], func(b *testing.B) {
			var pkt []byte
			for b.Loop() {
				pkt = Begin(pkt[:0])
				for range n {
					pkt, _ = Append(pkt, &req)
				}
				Finish(pkt, 1)
			}
			b.SetBytes(int64(len(pkt)))
		})
	}
}

func BenchmarkUnpack(b *testing.B) {
	req := Frame{Kind: KindRequest, ID: 1, Method: []byte("transfer"), Body: make([]byte, 64)}
	for _, n := range []int{1, 16} {
		b.Run(map[int]string{1: "one", 16: "sixteen"}[n], func(b *testing.B) {
			pkt := Begin(nil)
			for range n {
				pkt, _ = Append(pkt, &req)
			}
			Finish(pkt, 1)
			b.SetBytes(int64(len(pkt)))
			var f Frame
			for b.Loop() {
				p, err := Parse(pkt)
				for ok := err == nil; ok; {
					ok, _ = p.Next(&f)
				}
			}
		})
	}
}
