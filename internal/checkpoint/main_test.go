package checkpoint

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if seed := os.Getenv(writerSeed); seed != "" {
		os.Exit(writerProcess(seed))
	}
	os.Exit(m.Run())
}
