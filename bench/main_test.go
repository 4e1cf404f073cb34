package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
)

// output runs a verb. Not parallel: a run collects all children of this process.
func output(t *testing.T, args ...string) string {
	c := command()
	var out, progress bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&progress)
	c.SetArgs(args)
	require.NoError(t, c.Execute(), "%s", &progress)
	return out.String()
}

// found is what the tests look at.
type found struct {
	Options struct{ Seed uint64 }
	Results struct {
		Takeover   cells
		Checkpoint []struct{ Kind string }
	}
	Void []string
}

type cells []struct {
	Name, Fault string
	Connection  subject.Connection
	NotRun      string `json:"not_run"`
	Void        []string
	Waits       [][2]int64 `json:"waits_before_ns"`
	Faults      []struct {
		Gap      float64 `json:"gap_us"`
		Noticed  float64 `json:"noticed_us"`
		Serving  float64 `json:"serving_us"`
		Restored float64 `json:"restored_us"`
		Errors   int
		Cause    string
	}
}

// check looks at what holds for every fault, and returns how many there are. On a machine that is too busy for any traffic a fault may be
// void; then that is said.
func (all cells) check(t *testing.T) (measured int) {
	for _, cell := range all {
		if cell.Fault == string(fault.OOMKill) && strings.Contains(cell.NotRun, "no control group") || strings.Contains(cell.NotRun, "no time left") {
			continue
		}
		require.Empty(t, cell.NotRun, "%s: %v", cell.Name, cell.Void)
		require.NotEmpty(t, len(cell.Faults)+len(cell.Void), "broken promise: nothing is left out in silence: %s", cell.Name)
		for _, x := range cell.Faults {
			measured++
			if cell.Connection != subject.Fresh { // one that is being accepted at that moment may be reset
				require.Zero(t, x.Errors, "broken promise: a client had an error: %s", cell.Name)
			}
			require.NotEmpty(t, cell.Waits, "broken promise: the raw histogram is in the report")
			require.Positive(t, x.Gap)
			if cell.Fault == string(fault.Switch) {
				continue
			}
			require.Positive(t, x.Noticed, cell.Name)
			require.Greater(t, x.Serving, x.Noticed)
			require.GreaterOrEqual(t, x.Gap, x.Noticed, "broken promise: nobody replies before the death is noticed")
			require.Greater(t, x.Restored, x.Serving)
		}
	}
	return measured
}

func TestATinyReportOfARealPairIsAPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "page")
	said := output(t, "report", "--quick", "--seed", "7", "--parts", "takeover,checkpoint", "--blocks", "state", "--faults", "1", "--out", dir)
	require.Contains(t, said, filepath.Join(dir, "index.html"))
	for _, name := range []string{"index.html", "growth.svg", "growth.png", "checkpoint.svg"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	var f found
	require.NoError(t, json.Unmarshal(b, &f))
	require.EqualValues(t, 7, f.Options.Seed)
	require.NotEmpty(t, f.Results.Checkpoint)
	require.Len(t, f.Results.Takeover, 2)
	require.True(t, f.Results.Takeover.check(t) > 0 || len(f.Void) > 0)
}

func TestEveryKindOfFaultIsNoticedForWhatItIs(t *testing.T) {
	var f struct{ Results cells }
	said := output(t, "takeover", "--quick", "--json", "--kills", "0", "--large-kills", "0", "--state", "0", "--blocks", "fault", "--faults", "1")
	require.NoError(t, json.Unmarshal([]byte(said), &f))
	require.Len(t, f.Results, len(fault.Kinds()))
	f.Results.check(t)
	causes := map[fault.Kind]string{fault.Kill: "death", fault.Stop: "stopped", fault.Panic: "panic", fault.Deadlock: "hang", fault.Throw: "death", fault.OOMKill: "death"}
	for _, cell := range f.Results {
		for _, x := range cell.Faults {
			if x.Cause == "hang" && strings.HasPrefix(cell.Fault, "out of memory") {
				continue // it took so long to die that it was not waited for
			}
			require.Equal(t, causes[fault.Kind(cell.Fault)], x.Cause, "broken promise: the fault that was meant was done: %s", cell.Name)
		}
	}
}

func TestNoKindOfConnectionHasAnErrorAtATakeover(t *testing.T) {
	var f struct{ Results cells }
	said := output(t, "takeover", "--quick", "--json", "--kills", "0", "--large-kills", "0", "--state", "0", "--blocks", "clients", "--faults", "1")
	require.NoError(t, json.Unmarshal([]byte(said), &f))
	f.Results.check(t)
}

func TestABackupThatIsReplacedIsTimed(t *testing.T) {
	var f struct {
		Results []struct {
			State int       `json:"state_mib"`
			Raw   []float64 `json:"raw_took_ms"`
		}
	}
	said := output(t, "restore", "--quick", "--json", "--state", "1", "--fillings", "1")
	require.NoError(t, json.Unmarshal([]byte(said), &f))
	require.Len(t, f.Results, 1)
	require.Len(t, f.Results[0].Raw, 1)
	require.Positive(t, f.Results[0].Raw[0])
}

func TestEveryVerbHasItsFlags(t *testing.T) {
	t.Parallel()
	for _, c := range command().Commands() {
		for _, flag := range []string{"json", "quick", "seed"} {
			require.NotNil(t, c.InheritedFlags().Lookup(flag), "%s --%s", c.Name(), flag)
		}
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"report", "--parts", "weather"}, {"report", "--blocks", "colour"}, {"takeover", "--blocks", "colour"}, {"survive", "--parts", "weather"}} {
		c := command()
		c.SetArgs(args)
		require.ErrorContains(t, c.Execute(), "unknown", "%v", args)
	}
}
