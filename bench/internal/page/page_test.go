package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/handover"
	"github.com/1fb4ed1c/tandem/bench/internal/restore"
	"github.com/1fb4ed1c/tandem/bench/internal/serving"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
)

var update = flag.Bool("update", false, "write the golden file anew")

// report is of a machine that does not exist.
func report() *figures.Report {
	return &figures.Report{Verb: "report", Machine: figures.Machine{CPU: "A CPU <fast>", CPUs: 2, MemoryMiB: 4096, Arch: "amd64"}, Kernel: "6.1", Go: "go1.26",
		Commit: "0123456789abcdef", Began: time.Unix(1_700_000_000, 0).UTC(), Options: &figures.Options{Quick: true, Seed: 7}}
}

// full is data of every kind, in which the n-th figure follows from n.
func full(figure func(n int) float64) *Data {
	d, n := &Data{Report: report()}, 0
	next := func() float64 { n++; return figure(n) }
	for _, b := range takeover.Quick() {
		for i, c := range b.Cells {
			r := &takeover.Result{Block: b.Name, Cell: c, Name: c.String()}
			if i == 1 {
				r.NotRun = "not run: needs 4.5 GiB, has 2.0 GiB"
			} else {
				for range 2 {
					f := takeover.Fault{Gap: next(), Worst: next()}
					f.Phases = takeover.Phases{Noticed: f.Gap / 4, Sealed: f.Gap / 3, Drained: f.Gap / 2.5, Serving: f.Gap / 2, Replied: f.Gap, Restored: 10 * f.Gap}
					r.Faults = append(r.Faults, f)
				}
			}
			r.Gap = r.Values(func(f *takeover.Fault) float64 { return f.Gap }).Row("", "µs")
			d.Takeover = append(d.Takeover, r)
		}
	}
	curve := serving.QuickCurve()
	for _, m := range append([]string{serving.NoBackup}, serving.Modes()...) {
		for _, clients := range curve.Clients {
			d.Serve = append(d.Serve, &serving.Point{Mode: m, Clients: clients, Work: serving.LeastWork, Ratio: next() / 500, CPURatio: next() / 300, Backup: figures.Values{next()}.Row("", "µs")})
		}
		for _, w := range curve.Works[1:] {
			d.Serve = append(d.Serve, &serving.Point{Mode: m, Clients: serving.BaseClients, Work: w, Ratio: next() / 500, CPURatio: next() / 300, Backup: figures.Values{next()}.Row("", "µs")})
		}
	}
	for _, mib := range []int{1, 64, 4096} {
		p := restore.Point{StateMiB: mib}
		if mib == 4096 {
			p.NotRun = "not run: needs 16.1 GiB, has 2.0 GiB"
		} else {
			p.Took, p.With, p.Without = figures.Values{next()}.Row("", "ms"), figures.Values{next()}.Row("", "ms"), figures.Values{next()}.Row("", "ms")
		}
		d.Restore = append(d.Restore, p)
	}
	for _, kind := range []string{handover.PlainCopy, handover.Append, handover.TCPWrite} {
		for _, bytes := range []int{64, 1024} {
			d.Checkpoint = append(d.Checkpoint, handover.Cost{Kind: kind, Bytes: bytes, NS: figures.Values{next()}.Row("", "ns"), Ratio: next()})
		}
	}
	return d
}

// render renders, and checks what holds for every page.
func render(t require.TestingT, d *Data) (page string, files map[string][]byte) {
	files, err := Render(d)
	require.NoError(t, err)
	page = string(files["index.html"])
	wellFormed(t, files["index.html"])
	for _, bad := range []string{"NaN", "Inf", "%!", "ZgotmplZ", "<no value>"} {
		for name, b := range files {
			if !strings.HasSuffix(name, ".png") {
				require.NotContains(t, string(b), bad, "broken promise: no figure that was not measured is shown; in %s", name)
			}
		}
	}
	for _, ref := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(ref[1], "#") && ref[1] != "report.json" {
			require.Contains(t, files, ref[1], "broken promise: the page needs nothing from elsewhere")
		}
	}
	return page, files
}

func wellFormed(t require.TestingT, b []byte) {
	x := xml.NewDecoder(bytes.NewReader(b))
	x.Entity = xml.HTMLEntity
	for {
		_, err := x.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, "the page is not well-formed")
	}
}

// outline is the page without its figures: elements with an id, headings, and what kind of content each section has.
func outline(page string) string {
	var b strings.Builder
	for _, m := range regexp.MustCompile(`<section id="([^"]*)"|<h([12])>([^<]*)|<(svg|table|details)[ >]|<th>([^<]*)|class="(none|warn)"`).FindAllStringSubmatch(page, -1) {
		switch {
		case m[1] != "":
			b.WriteString("section " + m[1] + "\n")
		case m[2] != "":
			b.WriteString("  h" + m[2] + " " + m[3] + "\n")
		case m[4] != "":
			b.WriteString("    " + m[4] + "\n")
		case m[5] != "":
			b.WriteString("      column " + m[5] + "\n")
		case m[6] != "":
			b.WriteString("    (" + m[6] + ")\n")
		}
	}
	return b.String()
}

func TestThePageHasItsStructure(t *testing.T) {
	t.Parallel()
	page, files := render(t, full(func(n int) float64 { return float64(200 + 37*n%900) }))
	golden := filepath.Join("testdata", "outline.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(outline(page)), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), outline(page), "run go test ./bench/internal/page -update if this is meant")
	for _, said := range []string{"A CPU &lt;fast&gt;", "0123456789abcdef", "--seed=7", "not run: needs 4.5 GiB", "prefers-color-scheme: dark"} {
		require.Contains(t, page, said)
	}
	require.Less(t, len(files["takeover.svg"]), 300<<10, "the main chart is small enough for a README")
	_, err = png.Decode(bytes.NewReader(files["takeover.png"]))
	require.NoError(t, err)
}

func TestAPageWithoutAnyDataSaysSo(t *testing.T) {
	t.Parallel()
	d := &Data{Report: report()}
	page, files := render(t, d)
	require.Len(t, files, 1, "no chart is drawn of nothing")
	require.Equal(t, len(charts(d)), strings.Count(page, "Not measured in this run."))
	require.Empty(t, d.Sentences())
}

func TestAnyFiguresMakeAPage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			figures := []float64{0, .001, 1, 999.9, 1e9, 1e3}
			d := full(func(int) float64 { return figures[rng.IntN(len(figures))] })
			d.Takeover = d.Takeover[:rng.IntN(len(d.Takeover)+1)]
			d.Serve = d.Serve[:rng.IntN(len(d.Serve)+1)]
			d.Restore = d.Restore[:rng.IntN(len(d.Restore)+1)]
			d.Checkpoint = d.Checkpoint[:rng.IntN(len(d.Checkpoint)+1)]
			render(t, d)
		})
	}
}

func TestFiguresThatAreAllNothingMakeAPage(t *testing.T) {
	t.Parallel()
	render(t, full(func(int) float64 { return 0 }))
}

func TestVoidMeasurementsAreListed(t *testing.T) {
	t.Parallel()
	d := &Data{Report: report()}
	for range voidShown + 1 {
		d.Report.Void = append(d.Report.Void, "nobody asked")
	}
	page, _ := render(t, d)
	require.Equal(t, voidShown, strings.Count(page, "nobody asked"))
	require.Contains(t, page, "and more, see report.json")
}

func TestPartsOfAGapAddUpToIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Float64Range(0, 1e6)
		f := takeover.Fault{Phases: takeover.Phases{Noticed: moment.Draw(t, "noticed"), Sealed: moment.Draw(t, "sealed"), Drained: moment.Draw(t, "drained"),
			Serving: moment.Draw(t, "serving"), Replied: moment.Draw(t, "replied")}}
		total := 0.0
		for _, part := range segments(&f) {
			require.GreaterOrEqual(t, part, 0.0)
			total += part
		}
		require.InDelta(t, max(f.Noticed, f.Sealed, f.Drained, f.Serving, f.Replied), total, 1e-6)
	})
}

func TestFiguresAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "–", 12.34: "12.3 µs", 512.4: "512 µs", 1500: "1.5 ms", 250_000: "250 ms", 1_500_000: "1.5 s", 60_000_000: "60 s", 10_000: "10 ms", 1: "1 µs"} {
		require.Equal(t, want, us(v))
	}
	require.Equal(t, "4 GiB", mib(4096))
	require.Equal(t, "10 MiB", mib(10))
	require.Equal(t, "145", times(145.2))
	require.Equal(t, "0.54", times(.54))
}
