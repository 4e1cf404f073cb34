package proc

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkSilent is one look at a process that lives.
func BenchmarkSilent(b *testing.B) {
	m := start(b, "idle")
	require.Equal(b, "idle", m.hear(b))
	for b.Loop() {
		if silent, err := m.p.Silent(); silent || err != nil {
			b.Fatal(silent, err)
		}
	}
}

// BenchmarkSilentThreads is the dearest look: at every thread of a process.
func BenchmarkSilentThreads(b *testing.B) {
	shared := newPage(b, pageSize)
	m := start(b, "spin", shared.file)
	require.Equal(b, "moving", m.hear(b))
	require.NoError(b, m.p.Signal(unix.SIGSTOP))
	awaitState(b, m.p, 'T')
	threads := 0
	for b.Loop() {
		threads = 0
		require.NoError(b, m.p.eachThread(func(tid int) (bool, error) {
			threads++
			_, err := readStat(m.p.dir, "task/"+strconv.Itoa(tid)+"/stat")
			return true, err
		}))
	}
	b.ReportMetric(float64(threads), "threads")
}

// BenchmarkNotice is the time from SIGKILL to the return of Wait.
func BenchmarkNotice(b *testing.B) {
	distribution(b, func(m *member, cell *Cell) {
		cell.Wait(0)
	})
}

// BenchmarkNoticeAndFence is the time from SIGKILL until the death is also proven.
func BenchmarkNoticeAndFence(b *testing.B) {
	distribution(b, func(m *member, cell *Cell) {
		cell.Wait(0)
		if err := m.p.Fence(patience); err != nil {
			b.Error(err)
		}
	})
}

// distribution reports quantiles of the time from a SIGKILL to the return of learn,
// which waits before the kill comes.
func distribution(b *testing.B, learn func(*member, *Cell)) {
	var took []time.Duration
	for b.Loop() {
		m, cell := lit(b)
		learnt := make(chan time.Time)
		go func() {
			learn(m, cell)
			learnt <- time.Now()
		}()
		time.Sleep(2 * time.Millisecond) // the watcher is asleep by then, or the figure is too good: not a test
		began := time.Now()
		if err := m.p.Signal(unix.SIGKILL); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-learnt).Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e3, "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "µs-p99")
}
