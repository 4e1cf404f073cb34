package pair_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// A program that cannot take over ends its upgrade with its own words. What can be found out before it joins does not
// cost the pair its backup; after that, another backup of the old program is started.
func TestAProgramThatCannotTakeOverChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	version := func(v string) string {
		path := filepath.Join(dir, "diary-"+v)
		copyProgram(t, path)
		return path
	}
	for _, c := range []struct {
		name, program string
		want          []string
		joins         bool // takes the backup's place before it fails
	}{
		{name: "is not there", program: filepath.Join(dir, "nothing"), want: []string{"no such file"}},
		{name: "is a directory", program: dir, want: []string{"not a regular file"}},
		{name: "is not executable", program: file("data", "#!/bin/sh\n", 0o600), want: []string{"cannot be executed", "permission denied"}},
		{name: "has no absolute path", program: "diary", want: []string{"no absolute path"}},
		{name: "is no program", program: file("text", "hello", 0o700), want: []string{"exec format error"}},
		{name: "is no pair", program: version("talks"), want: []string{"ended before it had joined", "exit status 0", "I would rather not"}},
		{name: "fails at once", program: file("script", "#!/bin/sh\necho oh dear >&2\nexit 3\n", 0o700), want: []string{"exit status 3", "oh dear"}},
		{name: "is another pair", program: version("stranger"), want: []string{"one process is a member of one pair"}},
		{name: "speaks another language", program: version("distant"), want: []string{"version 3, expected 1 or a neighbour", pair.ErrVersion.Error()}},
		{name: "forgets a part of the state", program: version("forgetful"), want: []string{`Map "made" is not known there`, "do not track the same state"}},
		{name: "cannot read the state", program: version("strict"), want: []string{"cannot follow the primary", "changes do not fit this state"}, joins: true},
		{name: "ends while it is filled", program: version("exits"), want: []string{"ended before it held the whole state", "the seal is broken"}, joins: true},
		{name: "hangs while it is filled", program: version("hangs"), want: []string{"given up before it held the whole state"}, joins: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "diary", set(envHang, "250ms"))
			l := newLoad(t, p, 1).run(1)
			l.await(10)
			before := p.WaitProtected()
			err := upgrade(p, c.program, nil)
			require.ErrorIs(t, err, pair.ErrProgram)
			for _, want := range append(c.want, c.program, fmt.Sprintf("process %d of ", before.Primary.PID)) {
				require.ErrorContains(t, err, want, "broken promise: the error tells what is wrong")
			}
			l.await(10)
			after := p.WaitStatus("a protected pair, with another backup only if the program has joined", func(s pairtest.Status) bool {
				return s.Protected && s.Backup.Alive() && c.joins == (s.Backup != before.Backup)
			})
			require.Equal(t, before.Primary, after.Primary, "broken promise: the primary goes on")
			require.True(t, os.SameFile(runs(t, after.Primary), runs(t, after.Backup)))
			require.Zero(t, after.Switches)
			soon(t, "the page to forget the upgrade", func() bool { return page(t, p).Upgrade == "" })
			p.Kill(after.Primary) // it is a pair as before
			l.await(10)
			l.finish()
		})
	}
}

// Whoever asks for an upgrade can call it off: a program that never joins does not stay.
func TestAnUpgradeIsCalledOffByTheEndOfItsContext(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"was started", "being filled"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			p := startGated(t)
			p.close("filling")
			before := p.WaitProtected()
			program := newVersion(t, "sleeps")
			if at != "was started" {
				program = newVersion(t, "2")
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := pair.Upgrade(ctx, p.Dir(), p.Name(), program, func(step string) {
				if strings.Contains(step, at) {
					cancel()
				}
			})
			require.ErrorIs(t, err, context.Canceled)
			p.WaitLog("whoever asked for the upgrade went away")
			p.open("filling")
			after := p.WaitStatus("a protected pair, with another backup only if the program has joined", func(s pairtest.Status) bool {
				return s.Protected && s.Backup.Alive() && (at == "was started") == (s.Backup == before.Backup)
			})
			require.Equal(t, before.Primary, after.Primary)
			require.NoError(t, p.Switch(), "broken promise: nothing is left of the upgrade")
		})
	}
}

// step is a moment of an upgrade at which somebody dies.
type step struct {
	name string
	hold string // the gate that is closed for the new program
	half bool   // or the other half waits, before it joins
	at   string // what the upgrade says then
	kill func(g *gated, before pairtest.Status)

	upgraded bool // the upgrade succeeds all the same
	either   bool // it may succeed or not
	old      bool // the primary at the end runs the old program
}

func killPrimary(g *gated, before pairtest.Status) { g.Kill(before.Primary) }

func (g *gated) switched(before pairtest.Status) pairtest.Status {
	return g.WaitStatus("the new primary", func(s pairtest.Status) bool { return s.Primary != before.Primary && s.Protected })
}

func killNewPrimary(g *gated, before pairtest.Status) { g.Kill(g.switched(before).Primary) }

// killOtherHalf kills the process that is to replace the old primary.
func killOtherHalf(g *gated, before pairtest.Status) {
	s := g.switched(before)
	for _, m := range g.processes(s.Primary, s.Backup) {
		g.Kill(m)
	}
}

// killSuccessor kills the process that is about to be the backup.
func killSuccessor(g *gated, _ pairtest.Status) {
	s := g.Status()
	if s.Backup.Alive() && !s.Protected {
		g.Kill(s.Backup)
		return
	}
	for _, m := range g.processes(s.Primary, s.Backup) {
		g.Kill(m)
	}
}

// A member, or one that is to be a member, dies at every step of an upgrade at which the pair is protected. It goes on with one
// of the two programs, and nothing is lost.
func TestADeathDuringAnUpgradeLosesNothing(t *testing.T) {
	for _, c := range []step{
		{name: "the old primary before the new program joins", hold: "joining", at: "was started", kill: killPrimary, old: true},
		{name: "the old backup before the new program joins", hold: "joining", at: "was started", upgraded: true,
			kill: func(g *gated, before pairtest.Status) { g.Kill(before.Backup); g.WaitProtected() }},
		{name: "the new program before it joins", hold: "joining", at: "was started", kill: killSuccessor, old: true},
		{name: "the new backup while it is filled", hold: "filling", at: "being filled", kill: killSuccessor, old: true},
		{name: "the old primary while the roles change", half: true, at: "roles change", upgraded: true, kill: killPrimary},
		{name: "the new primary while the roles change", half: true, at: "roles change", either: true, old: true,
			kill: func(g *gated, before pairtest.Status) {
				for _, m := range g.processes(before.Primary, before.Backup) { // whatever its role is
					g.Kill(m)
				}
			}},
		{name: "the new primary before the other half joins", half: true, at: "other half", kill: killNewPrimary, old: true},
		{name: "the old primary, a backup now, before the other half joins", half: true, at: "other half", upgraded: true, kill: killPrimary},
		{name: "the other half before it joins", half: true, at: "other half", either: true, kill: killOtherHalf},
		{name: "the other half while it is filled", half: true, at: "other half", upgraded: true,
			kill: func(g *gated, before pairtest.Status) {
				g.close("filling")
				g.open("joining")
				g.Kill(g.WaitStatus("the other half to join", func(s pairtest.Status) bool {
					return s.Primary != before.Primary && s.Backup != before.Primary && s.Backup.Alive() && !s.Protected
				}).Backup)
			}},
	} {
		t.Run(c.name, func(t *testing.T) { eachMode(t, c.run) })
	}
}

func (c step) run(t *testing.T, mode pair.Mode) {
	p := startGated(t, set(envMode, mode), set(envSnapshot, 50))
	l := newLoad(t, p.Pair, 2).run(3)
	l.await(20)
	before := p.WaitProtected()
	program := newVersion(t, "2")
	if !c.half {
		p.close(c.hold)
	}
	dead := false
	err := upgrade(p.Pair, program, func(said string) {
		if c.half && !dead && strings.Contains(said, "being filled") {
			p.close("joining") // the next one is the other half
		}
		if dead || !strings.Contains(said, c.at) {
			return
		}
		dead = true
		if c.at == "other half" {
			l.await(20) // handled by the new program
		}
		c.kill(p, before)
		p.open("joining")
		p.open("filling")
	})
	require.True(t, dead, "this run proves nothing: it did not come to %q", c.at)
	if c.upgraded || c.either && err == nil {
		require.NoError(t, err)
	} else {
		require.Error(t, err)
		require.True(t, errors.Is(err, pair.ErrProgram) || strings.Contains(err.Error(), "goes on with the program it has"),
			"broken promise: the error tells how things stand: %v", err)
	}
	s := p.WaitProtected()
	require.Equal(t, before.Instance, s.Instance, "broken promise: the pair survives the death of one process")
	l.await(20)
	if !c.upgraded {
		if !c.either {
			require.Equal(t, c.old, ask[string](t, p.Dial(), "version", nil) == "1", "which program serves")
		}
		require.NoError(t, upgrade(p.Pair, program, nil), "broken promise: an upgrade can be repeated")
		l.await(20)
	}
	mustRun(t, p.Pair, program)
	l.finish()
	l.unbroken()
}

// What only the new version knows is not lost when the old one has to step in for it.
func TestTheOldProgramKeepsWhatOnlyTheNewOneKnows(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := startGated(t, set(envMode, mode))
		before := p.WaitProtected()
		c := p.Dial()
		program := newVersion(t, "2")
		err := upgrade(p.Pair, program, func(said string) {
			switch {
			case strings.Contains(said, "being filled"):
				p.close("joining") // the next one is the other half
			case strings.Contains(said, "other half"):
				require.Equal(t, "2", ask[string](t, c, "version", nil))
				require.Zero(t, ask[int64](t, c, "note", 42))
				s := p.switched(before)
				require.True(t, page(t, p.Pair).Backup.Differs, "the status shows that the halves differ")
				p.Kill(s.Primary)
				require.Equal(t, "1", ask[string](t, c, "version", nil))
				p.open("joining")
			}
		})
		require.ErrorIs(t, err, pair.ErrProgram)
		for range 2 { // the old program is a pair of its own kind
			p.Kill(p.WaitProtected().Primary)
		}
		_, err = receive.Call[int64](t.Context(), c, "note", 1)
		require.ErrorIs(t, err, receive.ErrNoMethod)
		p.WaitProtected()
		require.NoError(t, upgrade(p.Pair, program, nil))
		require.EqualValues(t, 42, ask[int64](t, c, "note", 43), "broken promise: what was answered is in the state")
		mustRun(t, p.Pair, program)
	})
}

// A primary that dies while a program it tries out does not answer leaves nobody behind.
func TestASuccessorWhosePrimaryIsGoneEnds(t *testing.T) {
	t.Parallel()
	p := startGated(t)
	p.close("joining")
	var successors []pairtest.Member
	err := upgrade(p.Pair, newVersion(t, "2"), func(string) {
		s := p.Status()
		successors = p.processes(s.Primary, s.Backup)
		p.Kill(s.Primary)
		p.open("joining")
	})
	require.ErrorContains(t, err, "goes on with the program it has")
	require.Len(t, successors, 1)
	p.WaitDead(successors[0])
	p.WaitProtected()
}
