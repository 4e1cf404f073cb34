// Command web is a small HTTP service as a process pair: a counter and a to-do list, with a page. Kill its primary while
// somebody uses it: the connections stay open, and every request is handled once.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/1fb4ed1c/tandem/pair"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "TCP address to listen on")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("web takes no arguments, only --addr: %q", flag.Args())
	}
	if err := newService("web", *addr).Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// newService returns the whole of it. Nothing here says primary or backup.
func newService(name, addr string) *pair.Service {
	svc := pair.New(name)
	pair.HTTP(svc, addr, newSite(svc))
	return svc
}
