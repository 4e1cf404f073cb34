package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// processes are some of which the costs are wanted.
type processes []*proc.Process

// halves takes hold of HAM and its guardian.
func (h *hamUnderTest) halves(ctx context.Context) (ps processes, err error) {
	page, err := h.protected(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range []*registry.Member{page.Primary, page.Backup} {
		p, err := member(m)
		if err != nil {
			return nil, errors.Join(err, ps.close())
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func (ps processes) close() (err error) {
	for _, p := range ps {
		err = errors.Join(err, p.Close())
	}
	return err
}

// used adds up the processor time of all threads of all of them.
func (ps processes) used() (all time.Duration, err error) {
	for _, p := range ps {
		used, err := p.CPUTime()
		if err != nil {
			return 0, err
		}
		all += used
	}
	return all, nil
}

// load returns the part of one processor that they use for a while, in percent.
func (ps processes) load(ctx context.Context, d time.Duration) (percent float64, err error) {
	before, err := ps.used()
	if err != nil {
		return 0, err
	}
	began := monotonic()
	pause(ctx, d)
	after, err := ps.used()
	return 100 * float64(after-before) / float64(monotonic()-began), errors.Join(err, ctx.Err())
}

// inTurns returns the loads of both, in percent of a processor, each taken over so long in all.
func inTurns(ctx context.Context, length time.Duration, both ...processes) (loads []float64, err error) {
	const turns = 2
	loads = make([]float64, len(both))
	for range turns {
		for i, ps := range both {
			load, err := ps.load(ctx, length/turns)
			if err != nil {
				return nil, err
			}
			loads[i] += load / turns
		}
	}
	return loads, nil
}

// memory returns what each of them holds, in MB: its share of what it shares with others (PSS), and all that it has mapped and touched
// (RSS).
func (ps processes) memory() (pss, rss []float64, err error) {
	for _, p := range ps {
		sizes, err := smaps(p.ID().PID)
		if err != nil {
			return nil, nil, err
		}
		pss, rss = append(pss, sizes["Pss"]), append(rss, sizes["Rss"])
	}
	return pss, rss, nil
}

// smaps reads the sums over all mappings of a process, in MB (10^6 bytes).
func smaps(pid int) (map[string]float64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sizes := map[string]float64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if kib, isSize := strings.CutSuffix(strings.TrimSpace(value), " kB"); ok && isSize {
			n, err := strconv.Atoi(kib)
			if err != nil {
				return nil, fmt.Errorf("cannot read %s: %w", f.Name(), err)
			}
			sizes[name] = float64(n) * 1024 / 1e6
		}
	}
	return sizes, lines.Err()
}

func total(v []float64) (all float64) {
	for _, x := range v {
		all += x
	}
	return all
}

// end kills a process and waits until it is gone.
func end(ctx context.Context, p *proc.Process) error {
	defer p.Close()
	if err := p.Signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("a process of the run has ended by itself: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
	defer cancel()
	for p.ID().Alive() {
		if pause(ctx, time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("process %v does not end: %w", p.ID(), ctx.Err())
		}
	}
	return nil
}
