package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/ham/daemon"
)

// The processes of a run are this program once more.
func TestMain(m *testing.M) {
	daemon.Main()
	if len(os.Args) > 1 && os.Args[1] == "process" {
		if err := command().Execute(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestASmallRunMeasuresAllOfHAMAndLosesNothing(t *testing.T) {
	said := output(t, "ham", "--json", "--deaths", "5", "--entities", "10", "--words", "10", "--programs", "4", "--kills", "1", "--every", "200ms",
		"--rest", "100ms", "--idle", "100ms")
	var r struct {
		Rows   []figures.Row
		Ratios []figures.Ratio
	}
	require.NoError(t, json.Unmarshal([]byte(said), &r))
	measured, goals := 0, 0
	for _, x := range r.Rows {
		if strings.HasPrefix(x.Name, "death noticed") || strings.HasPrefix(x.Name, "program runs again, started") {
			measured++
			require.EqualValues(t, 5, x.N, "broken promise: every death is measured: %s", x.Name)
		}
	}
	require.Equal(t, 4, measured)
	for _, x := range r.Ratios {
		if x.Met != nil {
			goals++
		}
		if strings.HasSuffix(x.Name, ", lost") || strings.HasSuffix(x.Name, ", doubled") {
			require.Zero(t, x.Value, "broken promise: every death counts once, whatever becomes of HAM: %s", x.Name)
		}
	}
	require.Equal(t, 1+2+2+6, goals, "broken promise: every goal has a verdict")
}
