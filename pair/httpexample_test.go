package pair_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/1fb4ed1c/tandem/pair"
)

// A page that counts its visitors. Their connections outlive every primary, and everybody is counted once.
func ExampleHTTP() {
	svc := pair.New("visitors")
	visitors := pair.Counter(svc, "visitors")
	pair.HTTP(svc, "127.0.0.1:8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "You are visitor %d, at %v.\n", visitors.Add(1), pair.CallOf(r.Context()).Now())
	}))
	if err := svc.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
