package core

import (
	"flag"
	"os"
	"testing"
)

// The random events are the same in every run, so that a change is judged by what it changes. Other ones:
// go test ./ham/core -run Whatever -rapid.seed 2 -rapid.checks 1000
func TestMain(m *testing.M) {
	flag.Parse()
	if seed := flag.Lookup("rapid.seed"); seed != nil && seed.Value.String() == "0" {
		_ = seed.Value.Set("1")
	}
	os.Exit(m.Run())
}
