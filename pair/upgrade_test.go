package pair_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// upgrade upgrades a pair; told, if it is not nil, hears of every step.
func upgrade(p *pairtest.Pair, program string, told func(step string)) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pair.Upgrade(ctx, p.Dir(), p.Name(), program, told)
}

// runs is the file that a member runs.
func runs(t *testing.T, m pairtest.Member) os.FileInfo {
	t.Helper()
	st, err := os.Stat("/proc/" + strconv.Itoa(m.PID) + "/exe")
	require.NoError(t, err)
	return st
}

// mustRun requires that both members run a file.
func mustRun(t *testing.T, p *pairtest.Pair, program string) pairtest.Status {
	t.Helper()
	s := p.WaitProtected()
	want, err := os.Stat(program)
	require.NoError(t, err)
	require.True(t, os.SameFile(want, runs(t, s.Primary)), "the primary does not run %s", program)
	require.True(t, os.SameFile(want, runs(t, s.Backup)), "the backup does not run %s", program)
	return s
}

func ask[Rep any](t *testing.T, c *receive.Conn, method string, arg any) Rep {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := receive.Call[Rep](ctx, c, method, arg)
	require.NoError(t, err, method)
	return r
}

func page(t *testing.T, p *pairtest.Pair) registry.Page {
	t.Helper()
	page, err := registry.Read(p.Dir(), p.Name())
	require.NoError(t, err)
	return page
}

// A new version with more state, in another order, with more fields and other results takes over under load, and the one
// after it as well.
func TestAnUpgradeUnderLoadGoesUnnoticed(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "diary", set(envMode, mode), set(envSnapshot, 50))
		l := newLoad(t, p, 4).run(4)
		c := p.Dial()
		first := p.WaitProtected()
		require.Equal(t, "1", ask[string](t, c, "version", nil))
		for n, v := range []string{"2", "3"} {
			l.await(100)
			program := newVersion(t, v)
			require.NoError(t, upgrade(p, program, nil))
			s := mustRun(t, p, program)
			require.EqualValues(t, n+1, s.Switches, "a switch for every upgrade")
			require.Zero(t, s.Takeovers, "nobody died on duty")
			require.Equal(t, first.Instance, s.Instance)
			require.Equal(t, v, ask[string](t, c, "version", nil))
			l.await(100)
			require.Equal(t, int64(n), ask[int64](t, c, "note", n+1), "what only the new version keeps goes along with it")
		}
		q := page(t, p)
		require.Empty(t, q.Upgrade)
		require.False(t, q.Backup.Differs)
		require.Equal(t, q.Primary.Program, q.Backup.Program)
		p.Kill(p.Primary())
		l.await(100)
		require.Equal(t, "3", ask[string](t, c, "version", nil))
		p.WaitProtected()
		l.finish()
		l.unbroken()
	})
}

// To the clients of a stream an upgrade is not there.
func TestStreamsOutliveAnUpgrade(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		l := dialLines(t, p, 1)
		stop := make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() {
			for {
				l.ask(1 + l.rng.IntN(40))
				l.collect()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		program := filepath.Join(t.TempDir(), "ledger")
		copyProgram(t, program)
		err := upgrade(p, program, nil)
		close(stop)
		running.Wait()
		require.NoError(t, err)
		mustRun(t, p, program)
		l.check(p.Dial())
	})
}

func TestAHandWrittenPairIsUpgraded(t *testing.T) {
	t.Parallel()
	p := start(t, "hand")
	c := p.Dial()
	require.EqualValues(t, 1, ask[int64](t, c, "add", nil))
	program := filepath.Join(t.TempDir(), "hand")
	copyProgram(t, program)
	require.NoError(t, upgrade(p, program, nil))
	mustRun(t, p, program)
	require.EqualValues(t, 2, ask[int64](t, c, "add", nil))
	p.Kill(p.Primary())
	require.EqualValues(t, 3, ask[int64](t, c, "add", nil))
	p.WaitProtected()
}

// Members that were started by hand are replaced like any others.
func TestAPairThatStartsNoBackupsIsUpgraded(t *testing.T) {
	t.Parallel()
	takeTurn(t)
	p := pairtest.StartAlone(t, "diary", pairtest.Env(set(envAlone, 1)))
	program := newVersion(t, "2")
	require.ErrorIs(t, upgrade(p, program, nil), pair.ErrNotSynchronised, "a pair that is not protected is not upgraded")
	p.Launch()
	p.WaitProtected()
	l := newLoad(t, p, 2).run(2)
	l.await(10)
	require.NoError(t, upgrade(p, program, nil))
	mustRun(t, p, program)
	l.await(10)
	l.finish()
	l.unbroken()
}

// A version of the protocol has its neighbours, in both directions.
func TestNeighbouringVersionsOfTheProtocolReplaceEachOther(t *testing.T) {
	t.Parallel()
	p := start(t, "diary")
	l := newLoad(t, p, 2).run(2)
	for _, v := range []string{"neighbour", "2"} {
		program := newVersion(t, v)
		require.NoError(t, upgrade(p, program, nil))
		mustRun(t, p, program)
		l.await(20)
	}
	l.finish()
	l.unbroken()
}

// An upgrade to the program that a pair runs is done.
func TestAnUpgradeToTheSameProgramReplacesNobody(t *testing.T) {
	t.Parallel()
	p := start(t, "diary")
	before := p.WaitProtected()
	exe, err := os.Executable()
	require.NoError(t, err)
	var said []string
	require.NoError(t, upgrade(p, exe, func(s string) { said = append(said, s) }))
	require.Equal(t, before, p.Status())
	require.Contains(t, strings.Join(said, "\n"), "runs this program already")
	require.NoError(t, p.Switch(), "and nothing is left of it")
}

// Whoever replaces the file of a running program has not upgraded the pair: its members go on with what they are.
func TestAFileReplacedOnDiskDoesNotMixVersions(t *testing.T) {
	t.Parallel()
	p := start(t, "diary")
	program := newVersion(t, "2")
	require.NoError(t, upgrade(p, program, nil))
	file := runs(t, p.WaitProtected().Primary)
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.WriteFile(other, []byte("#!/bin/sh\nexit 1\n"), 0o700))
	require.NoError(t, os.Rename(other, program))
	for range 2 {
		s := p.WaitProtected()
		p.Kill(s.Backup)
		p.Kill(p.WaitProtected().Primary)
		s = p.WaitProtected()
		require.True(t, os.SameFile(file, runs(t, s.Primary)))
		require.True(t, os.SameFile(file, runs(t, s.Backup)), "broken promise: a primary starts backups of its own program")
	}
	require.Equal(t, "2", ask[string](t, p.Dial(), "version", nil))
}

func TestOnlyOneUpgradeAtATime(t *testing.T) {
	t.Parallel()
	p := startGated(t)
	p.close("joining")
	started := make(chan struct{})
	var once sync.Once
	done := make(chan error, 1)
	program := newVersion(t, "2")
	go func() {
		done <- upgrade(p.Pair, program, func(step string) {
			if strings.Contains(step, "was started") {
				once.Do(func() { close(started) })
			}
		})
	}()
	<-started
	soon(t, "the status to show the upgrade", func() bool { return page(t, p.Pair).Upgrade == program })
	require.ErrorIs(t, upgrade(p.Pair, newVersion(t, "3"), nil), pair.ErrUpgrading)
	require.ErrorIs(t, p.Switch(), pair.ErrUpgrading)
	p.open("joining")
	require.NoError(t, <-done)
	mustRun(t, p.Pair, program)
}

// A stop comes before an upgrade, whatever step that is at, and leaves nobody.
func TestAPairIsStoppedInTheMiddleOfAnUpgrade(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"was started", "being filled", "roles change", "other half"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			p := startGated(t)
			program := newVersion(t, "2")
			if at == "was started" {
				p.close("joining")
			}
			var once sync.Once
			reached := make(chan struct{})
			done := make(chan error, 1)
			go func() {
				done <- upgrade(p.Pair, program, func(step string) {
					if strings.Contains(step, "being filled") {
						p.close("joining") // for the other half
					}
					if strings.Contains(step, at) {
						once.Do(func() { close(reached) })
					}
				})
			}()
			<-reached
			p.Stop()
			require.Error(t, <-done)
		})
	}
}

// gated is a diary whose new versions wait where the test wants them to.
type gated struct {
	*pairtest.Pair
	t     *testing.T
	gate  string
	group int // of its processes
}

func startGated(t *testing.T, env ...string) *gated {
	t.Helper()
	gate := t.TempDir()
	g := &gated{Pair: start(t, "diary", append(env, set(envGate, gate))...), t: t, gate: gate}
	var err error
	g.group, err = unix.Getpgid(g.Primary().PID)
	require.NoError(t, err)
	return g
}

// processes lists the processes that descend from the first member, whether they are members or not, but some.
func (g *gated) processes(but ...pairtest.Member) (list []pairtest.Member) {
	g.t.Helper()
	all, err := os.ReadDir("/proc")
	require.NoError(g.t, err)
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if group, err := unix.Getpgid(pid); err != nil || group != g.group {
			continue
		}
		id, err := proc.Identify(pid)
		if m := pairtest.Member(id); err == nil && m.Alive() && !slices.Contains(but, m) {
			list = append(list, m)
		}
	}
	return list
}

func (g *gated) close(name string) {
	require.NoError(g.t, os.WriteFile(filepath.Join(g.gate, name), nil, 0o600))
}

func (g *gated) open(name string) {
	if err := os.Remove(filepath.Join(g.gate, name)); !os.IsNotExist(err) {
		require.NoError(g.t, err)
	}
}

// soon waits for something that only the page tells.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "waited %v for %s", patience, what)
	}
}
