package tree

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// memory is a source of records in plain memory.
type memory struct {
	store core.Memory
	beats map[string]time.Time
}

var _ Source = (*memory)(nil)

func (m *memory) Root(context.Context) (core.Root, error) { return *m.store.Root(), nil }

func (m *memory) Entities(context.Context) (names []string, err error) {
	for e := range m.store.Entities() {
		names = append(names, e.Name)
	}
	return names, nil
}

func (m *memory) Entity(_ context.Context, name string) (*core.Entity, time.Time, error) {
	e := m.store.Entity(name)
	if e == nil {
		return nil, time.Time{}, fmt.Errorf("entity %q: %w", name, fs.ErrNotExist)
	}
	return e, m.beats[name], nil
}

func (m *memory) Running(context.Context) (jobs []core.Job, err error) {
	for j := range m.store.Jobs() {
		jobs = append(jobs, *j)
	}
	return jobs, nil
}

func (m *memory) History(context.Context) (all []core.Happening, err error) {
	for _, h := range m.store.History() {
		all = append(all, *h)
	}
	return all, nil
}

var began = time.Date(2001, 8, 30, 23, 4, 49, 930148650, time.UTC)

// at is a time of the sample, in both clocks.
func at(after time.Duration) (wallTime int64, clock time.Duration) {
	return began.Add(after).UnixNano(), time.Hour + after
}

func happening(after time.Duration, h core.Happening) core.Happening {
	h.Wall, h.At = at(after)
	h.Seq = uint64(after/time.Millisecond) + 1
	return h
}

var admin = core.Owner{Admin: true}

// sample is a tree with everything in it that files differ by.
func sample() *memory {
	m := &memory{beats: map[string]time.Time{"mutex-starvation": began.Add(9 * time.Second)}}
	m.store.SetRoot(&core.Root{Seq: 900, PID: 10993674, GuardianPID: 10997782, Failures: 1, Created: began.UnixNano(), Died: 3, Restarted: 2, Fired: 7, Failed: 1})
	m.store.PutEntity(&core.Entity{Name: core.Global, Kind: core.GlobalEntity, Owner: admin, Conditions: []core.Condition{{Spec: core.ConditionSpec{Name: "all", On: core.OnAny}, Owner: admin}}})
	for _, e := range []*core.Entity{inetd(), starved(), bank(), everything(), {Name: "history", Created: began.UnixNano(), Owner: core.Owner{UID: 1000, GID: 1000}, Disabled: true}} {
		m.store.PutEntity(e)
		for i := range e.History {
			m.store.Remember(&e.History[i])
		}
	}
	fired, _ := at(5 * time.Second)
	cause := core.Cause{Seq: 5001, Wall: fired, Entity: "inetd", Type: core.OnDeath, PID: 11014167}
	death := inetd().Conditions[0].Actions
	m.store.PutJob(&core.Job{ID: 31, Path: core.Path{Entity: "inetd", Condition: "death"}, Owner: admin, Cause: cause, Actions: death, Effect: 33})
	m.store.PutJob(&core.Job{ID: 32, Path: core.Path{Entity: "inetd", Condition: "death"}, Owner: admin, Cause: cause, Actions: death, Step: 1, Failing: 1, Lane: core.Lane{Class: core.NoWaitLane}})
	m.store.PutJob(&core.Job{ID: 34, Path: core.Path{Entity: "inetd", Condition: "death"}, Owner: admin, Cause: cause, Actions: death, Aside: true})
	return m
}

// inetd is the entity of QNX's own example.
func inetd() *core.Entity {
	fired, _ := at(5 * time.Second)
	_, since := at(6 * time.Second)
	return &core.Entity{
		Name: "inetd", Kind: core.Attached, Owner: admin, Flags: core.KeepOnDeath, Created: began.UnixNano(), Restarts: 1, Deaths: 1,
		Settings: core.Settings{Command: core.Command{Argv: []string{"/usr/sbin/inetd", "-D", "two words"}}, After: []core.Dependency{{Entity: "net", Restart: true}, {Entity: "disk"}}},
		Process:  core.Process{Phase: core.Running, PID: 11014167, Since: since, Ready: true, Spawned: true}, Spent: core.Spent{Count: 1},
		LastExit: &core.Exit{Known: true, Signal: 11, Core: true}, Status: "12 connections", FDs: []string{"listener", "state"}, State: 3, Entered: true,
		Conditions: []core.Condition{{
			Spec: core.ConditionSpec{Name: "death", On: core.OnDeath, Flags: core.RearmCondition | core.Independent | core.KeepOnEmpty}, Owner: core.Owner{UID: 1000, GID: 100}, Fired: 1, LastFired: fired,
			Actions: []core.Action{
				{Spec: core.ActionSpec{Name: "restart", Flags: core.RearmAction, Restart: &core.Restart{}}, Runs: 1},
				{Spec: core.ActionSpec{Name: "warm", Flags: core.RearmAction | core.KeepOnFail | core.BreakOnFail, Execute: &core.Execute{Command: core.Command{Argv: []string{"/bin/warm", ""}}},
					OnFail: []core.ActionSpec{{Name: "tell", Notify: &core.Notify{Datagram: "/run/ops", Text: "cold"}}}}, Runs: 2, Fails: 1, LastError: "exit status 1", Disabled: true},
			},
		}},
		History: []core.Happening{
			happening(0, core.Happening{What: core.HasAttached, Entity: "inetd", PID: 11014100}),
			happening(5*time.Second, core.Happening{What: core.HasDied, Entity: "inetd", PID: 11014100, Exit: &core.Exit{Known: true, Signal: 11, Core: true}}),
			happening(5*time.Second, core.Happening{What: core.HasFired, Entity: "inetd", Condition: "death", Text: "death of inetd"}),
			happening(6*time.Second, core.Happening{What: core.HasRestarted, Entity: "inetd", PID: 11014167}),
		},
	}
}

// starved is the self-attached entity of QNX's example of heartbeats.
func starved() *core.Entity {
	return &core.Entity{
		Name: "mutex-starvation", Kind: core.SelfAttached, Client: 5, Owner: core.Owner{UID: 1000, GID: 1000}, Created: began.UnixNano(),
		Settings: core.Settings{Heartbeat: core.Heartbeat{Period: time.Second, Low: 5, High: 5}, Ready: core.Readiness{Beat: true, Timeout: time.Minute}, Restart: core.Budget{Limit: -1}},
		Process:  core.Process{Phase: core.Running, PID: 753682}, Pulse: core.Pulse{State: core.MissedHigh, Missed: 1},
	}
}

// bank is a process pair whose restart has to wait.
func bank() *core.Entity {
	_, due := at(11 * time.Second)
	return &core.Entity{
		Name: "bank", Owner: core.Owner{UID: 1000, GID: 1000}, Created: began.UnixNano(), Settings: core.Settings{Pair: "bank", Ready: core.Readiness{Probe: &core.WaitFor{Unix: "/run/bank", Timeout: time.Second}}},
		Process: core.Process{Phase: core.Delayed, Due: due}, Spent: core.Spent{Count: 2.5}, LastExit: &core.Exit{},
		Pair: &core.Pair{Instance: "i7", Epoch: 3, Takeovers: 2, Members: []core.PairMember{{PID: 71, Start: 1, Role: "primary", Synchronised: true}, {PID: 72, Start: 2, Role: "joining"}}},
		History: []core.Happening{
			happening(10*time.Second, core.Happening{What: core.HasDelayed, Entity: "bank", Text: "1s"}),
		},
	}
}

// everything has an action of each kind, and a condition of each kind that has fields of its own.
func everything() *core.Entity {
	actions := []core.ActionSpec{
		{Name: "dump", Dump: &core.Execute{Command: core.Command{Argv: []string{"gcore"}}, Timeout: time.Second}},
		{Name: "background", Execute: &core.Execute{Command: core.Command{Argv: []string{"true"}}, Background: true}},
		{Name: "pause", WaitFor: &core.WaitFor{Timeout: 1500 * time.Millisecond}},
		{Name: "socket", WaitFor: &core.WaitFor{TCP: "127.0.0.1:80", Timeout: time.Second}},
		{Name: "pulse", Notify: &core.Notify{Signal: &core.Signal{PID: 12, Signal: 35, Value: 7}}},
		{Name: "post", Notify: &core.Notify{HTTP: "http://127.0.0.1/"}},
		{Name: "line", Notify: &core.Notify{Client: 5}},
		{Name: "hup", Flags: core.OneShot, Signal: &core.Signal{Signal: 1, Group: true}},
		{Name: "kill", Kill: &core.Kill{}},
		{Name: "healthy", Healthy: &core.Healthy{}},
		{Name: "log", Log: &core.Log{Text: "it happened", Prefix: true, Verbosity: 2}},
		{Name: "raise", Raise: &core.Raise{Entity: "bank", Type: 1, Severity: -1}},
		{Name: "enable", Enable: &core.Switch{Path: core.Path{Entity: "bank", Condition: "death"}}},
		{Name: "disable", Disable: &core.Switch{Recurse: true}},
		{Name: "again", Restart: &core.Restart{Command: &core.Command{Argv: []string{"/bin/other"}}}},
		{Name: "data.json", Log: &core.Log{Text: "the text of data.json"}},
		{Name: "data.json=", Log: &core.Log{Text: "the text of data.json="}},
		{Name: "info", Log: &core.Log{Text: "not the .info"}},
	}
	c := core.Condition{Spec: core.ConditionSpec{Name: "state", On: core.OnState, From: core.Anything(), To: core.IsNot(0, 4)}, Owner: admin}
	for _, a := range actions {
		c.Actions = append(c.Actions, core.Action{Spec: a})
	}
	return &core.Entity{Name: "everything", Owner: admin, Status: "busy\nPath              : forged", Created: began.UnixNano(), Conditions: []core.Condition{
		c,
		{Spec: core.ConditionSpec{Name: "raise", On: core.OnRaise, Type: core.Is(1), Class: core.Anything(), Severity: core.Is(2, 3)}, Owner: admin, Disabled: true},
		{Spec: core.ConditionSpec{Name: "memory", On: core.OnResourceExceeded, Resource: &core.Resource{RSS: 1 << 20, CPU: 0.5, For: 3}}, Owner: admin},
	}}
}

// paths returns all files of a tree.
func paths(t *FS) (files []string) {
	_ = fs.WalkDir(t, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	slices.Sort(files)
	return files
}
