package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// ports gives out free ports below those that the kernel gives to clients: a server that is started again finds its own free, and
// a client that tries it meanwhile cannot be connected to itself.
type ports struct {
	mu   sync.Mutex
	next int
	end  int
}

const firstPort = 15000

func newPorts() *ports {
	end, last := 32768, 0
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &end, &last)
	}
	return &ports{next: firstPort + rand.IntN(max(end-firstPort-1000, 1)), end: end}
}

// addr returns an address of this machine at which nobody listens.
func (p *ports) addr() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; p.next < p.end; p.next++ {
		addr := fmt.Sprintf("127.0.0.1:%d", p.next)
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			p.next++
			return addr, nil
		}
	}
	return "", fmt.Errorf("cannot find a free port below %d", p.end)
}

// addrs returns n of them.
func (p *ports) addrs(n int) (addrs []string, err error) {
	for range n {
		addr, err := p.addr()
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
