package pair_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/filestate"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// The journal is a service that writes a file. envJournal names it.
const envJournal = "JOURNAL"

// Jot asks the journal for one line, or several at once.
type Jot struct {
	Lines  []string `msgpack:"l"`
	Copies int      `msgpack:"c"` // of all of them, besides the first
	Sync   bool     `msgpack:"s"`
	Refuse bool     `msgpack:"r"` // after the lines were written
}

var (
	errNoSpace  = receive.NewError(301, "the disk is full")
	errReplaced = receive.NewError(302, "somebody has replaced the journal")
)

func journal(cfg pair.Config) *pair.Service {
	if cfg.AtPoint == nil {
		cfg.AtPoint = meddle
	}
	svc := cfg.New("journal")
	file := pair.NewFile(svc, "journal", os.Getenv(envJournal))
	count := pair.Counter(svc, "count")
	pair.Handle(svc, "jot", func(_ *pair.Call, j Jot) (first int64, err error) {
		for i, line := range slices.Concat(j.Lines, slices.Repeat(j.Lines, j.Copies)) {
			off, err := file.Append([]byte(line + "\n"))
			if err != nil {
				return 0, named(err)
			}
			if count.Add(1); i == 0 {
				first = off
			}
		}
		if j.Sync {
			err = file.Sync()
		}
		if j.Refuse {
			err = errRefused
		}
		return first, err
	})
	pair.Handle(svc, "count", func(*pair.Call, struct{}) (int64, error) { return count.Get(), nil })
	pair.Handle(svc, "read", func(*pair.Call, struct{}) (string, error) {
		size, err := file.Size()
		b := make([]byte, size)
		if err == nil {
			_, err = file.ReadAt(b, 0)
		}
		return string(b), err
	})
	pair.Handle(svc, "rewrite", func(_ *pair.Call, text string) (struct{}, error) {
		err := file.Truncate(0)
		if err == nil {
			_, err = file.WriteAt([]byte(text), 0)
		}
		return struct{}{}, err
	})
	pair.Handle(svc, "rotate", func(_ *pair.Call, to string) (struct{}, error) {
		err := file.Rename(to)
		return struct{}{}, err
	})
	pair.Handle(svc, "reopen", func(_ *pair.Call, line string) (struct{}, error) {
		_, _ = file.Append([]byte("given up\n"))
		err := file.Reopen()
		if err == nil {
			_, err = file.Append([]byte(line + "\n"))
		}
		return struct{}{}, err
	})
	return svc
}

func named(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return errNoSpace
	case errors.Is(err, filestate.ErrReplaced), errors.Is(err, filestate.ErrShortened):
		return errReplaced
	}
	return err
}

// startJournal starts the pair and returns the path of its file.
func startJournal(t *testing.T, dir string, env ...string) (*pairtest.Pair, string) {
	path := filepath.Join(dir, "journal")
	return start(t, "journal", append(env, set(envJournal, path))...), path
}

func jot(t *testing.T, c *receive.Conn, lines ...string) {
	t.Helper()
	_, err := receive.Call[int64](t.Context(), c, "jot", Jot{Lines: lines})
	require.NoError(t, err)
}

func must[Rep any](t *testing.T, c *receive.Conn, method string, req any) Rep {
	t.Helper()
	rep, err := receive.Call[Rep](t.Context(), c, method, req)
	require.NoError(t, err)
	return rep
}

func requireFile(t *testing.T, path, want, why string) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(got), why)
}

// writers are clients that have lines written as fast as they are.
type writers struct {
	t      *testing.T
	stop   context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	acked  map[string]int64 // line: where it was said to be
	failed error
}

func startWriters(t *testing.T, p *pairtest.Pair, n int) *writers {
	ctx, stop := context.WithCancel(t.Context())
	w := &writers{t: t, stop: stop, acked: map[string]int64{}}
	for id := range n {
		c := p.Dial()
		w.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.write(c, id, i)
			}
		})
	}
	return w
}

// write has one line written, and sometimes refused.
func (w *writers) write(c *receive.Conn, id, i int) {
	line := fmt.Sprintf("%d %d %s", id, i, strings.Repeat("x", i%200))
	off, err := receive.Call[int64](context.Background(), c, "jot", Jot{Lines: []string{line}, Sync: i%16 == 0, Refuse: i%7 == 3})
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case i%7 == 3 && errors.Is(err, errRefused):
	case err != nil:
		w.failed = errors.Join(w.failed, err)
	default:
		w.acked[line] = off
	}
}

// finish stops them and expects in the file every line that was acknowledged, once, where it was said to be, every client's in
// order; and no other.
func (w *writers) finish(path string) {
	w.t.Helper()
	w.stop()
	w.wg.Wait()
	require.NoError(w.t, w.failed)
	b, err := os.ReadFile(path)
	require.NoError(w.t, err)
	off, last := int64(0), map[string]int{}
	for line := range strings.Lines(string(b)) {
		text := strings.TrimSuffix(line, "\n")
		at, ok := w.acked[text]
		require.True(w.t, ok, "a line that nobody was told of, or twice: %.40q", text)
		require.Equal(w.t, off, at, "line %.40q is elsewhere", text)
		var id string
		var n int
		_, err := fmt.Sscan(text, &id, &n)
		require.NoError(w.t, err)
		require.GreaterOrEqual(w.t, n, last[id], "lines of a client are in order")
		last[id] = n
		delete(w.acked, text)
		off += int64(len(line))
	}
	require.Empty(w.t, w.acked, "acknowledged, and not in the file")
}

func (w *writers) await(n int) {
	w.mu.Lock()
	want := len(w.acked) + n
	w.mu.Unlock()
	require.Eventually(w.t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.acked) >= want || w.failed != nil
	}, pairtest.Within, time.Millisecond)
}

// A mark is added to the name of the journal for a file that makes its primary do something behind the next commit.
const (
	moveMark = ".move" // move the journal away, and die
	failMark = ".fail" // make every write to a file fail
)

func meddle(p pair.Point) {
	path := os.Getenv(envJournal)
	if p != pair.PointAppended {
		return
	}
	if os.Remove(path+moveMark) == nil {
		_ = os.Rename(path, path+".old")
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	if os.Remove(path+failMark) == nil {
		signal.Ignore(unix.SIGXFSZ)
		_ = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{})
	}
}
