package survive

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/receive"
)

// A file that is appended to as fast as the disk takes it, under kills: every acknowledged line is in it once, and those of
// one writer in their order.

const writers = 64 // lines in flight

// append appends the line itself.
func (l fileLine) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(l.Writer), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(l.N), 10)
	return append(b, " a line of the file\n"...)
}

// file runs everything that is to be run against a file.
func (s *survival) file(ctx context.Context) error {
	for _, synced := range []bool{false, true} {
		if err := s.appendLog(ctx, synced); err != nil {
			return err
		}
	}
	return nil
}

func (s *survival) appendLog(ctx context.Context, synced bool) error {
	res := s.result("append-log")
	res.Pipeline, res.Sync = writers, synced
	name := "append"
	if synced {
		name += "-sync"
	}
	path := filepath.Join(s.w.Base, name+".lines")
	t, err := startAppending(ctx, s.w, name, path)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = t.Conn.Close() })()
	var lines lineWriters
	began := time.Now()
	k, err := subject.UnderKills(ctx, s.w, name, s.p.Every, func() {}, func(ctx context.Context) error {
		lines.write(ctx, t.Conn, synced, began.Add(s.p.Length))
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for _, n := range lines.acknowledged {
		res.Requests += n
	}
	res.fail(len(lines.said), lines.said...)
	res.under(k)
	res.per(time.Since(began))
	if err := t.Stop(ctx); err != nil { // no line is written later than that
		return err
	}
	wrong, err := checkLines(path, lines.acknowledged[:])
	if err != nil {
		return err
	}
	res.Wrong = len(wrong)
	res.fail(0, wrong...)
	return os.Remove(path)
}

// startAppending starts the pair that appends to a file.
func startAppending(ctx context.Context, w *world.World, name, path string) (*subject.Pair, error) {
	return subject.Begin(ctx, w, name, false, "append", "--name", name, "--file", path)
}

// lineWriters have one line in flight each.
type lineWriters struct {
	acknowledged [writers]int // lines of each
	mu           sync.Mutex
	said         []string
}

// write goes on until then; an error ends its writer.
func (w *lineWriters) write(ctx context.Context, conn *receive.Conn, synced bool, until time.Time) {
	var wg sync.WaitGroup
	for i := range w.acknowledged {
		wg.Go(func() {
			n := &w.acknowledged[i]
			for ; time.Now().Before(until) && ctx.Err() == nil; *n++ {
				if _, err := receive.Call[int64](ctx, conn, "append", fileLine{Writer: uint32(i), N: uint32(*n), Sync: synced}); err != nil {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.said = append(w.said, fmt.Sprintf("line %d of writer %d: %v", *n, i, err))
					return
				}
			}
		})
	}
	wg.Wait()
}

// checkLines compares a file with the lines of each writer that were acknowledged, and returns what is wrong with it.
func checkLines(path string, acknowledged []int) (wrong []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := make([]int, len(acknowledged))
	in, want := bufio.NewScanner(f), []byte(nil)
	for at := 1; in.Scan(); at++ {
		var l fileLine
		if n, _ := fmt.Sscan(in.Text(), &l.Writer, &l.N); n < 2 || int(l.Writer) >= len(found) {
			wrong = append(wrong, fmt.Sprintf("line %d of the file is %.100q", at, in.Text()))
			continue
		}
		next := &found[l.Writer]
		if want = l.append(want[:0]); int(l.N) != *next || in.Text()+"\n" != string(want) {
			wrong = append(wrong, fmt.Sprintf("line %d of the file is %.100q, expected number %d of writer %d", at, in.Text(), *next, l.Writer))
		}
		*next = int(l.N) + 1
	}
	for i, n := range acknowledged {
		if found[i] < n {
			wrong = append(wrong, fmt.Sprintf("writer %d has %d lines in the file, %d acknowledged", i, found[i], n))
		}
	}
	return wrong, in.Err()
}
