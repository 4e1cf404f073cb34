package config

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

const cache = `
# a cache that is warmed after every start
[[entity]]
name = "cache"
command = ["redis-server", "--port", "7777", "--save", ""]
heartbeat = { period = "1s", low = 2, high = 4, grace = "3s" }   # optional
user = "nobody"
env = { LANG = "C", A = "1" }
limits = { nofile = 1024, core = [0, "unlimited"] }
output = { file = "/var/log/cache", size = "1MiB", keep = 3 }
after = ["disk", { entity = "net", restart = true }]
ready = { tcp = "127.0.0.1:7777", timeout = "10s" }
restart = { limit = 5, delays = ["1s", "5s"], jitter = 0.5 }
stop = [{ signal = "INT", wait = "2s" }, { signal = 9, wait = "1s" }]

  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
    [[entity.condition.action]]
    name = "wait"
    waitfor = { tcp = "127.0.0.1:7777", timeout = "5s" }
    break_on_fail = true
      [[entity.condition.action.on_fail]]
      name = "say"
      log = "it does not come up"
    [[entity.condition.action]]
    name = "warm"
    execute = ["redis-cli", "-p", "7777", "set", "warm", "1"]

  [[entity.condition]]
  name = "degraded"
  on = "state"
  from = { not = [3] }
  to = [1, 2]
  once = true
  independent = true

[[entity]]
name = "disk"

[[entity]]
name = "net"
  [[entity.condition]]
  name = "big"
  on = "resource_exceeded"
  rss = "64MiB"
  for = 3

[[global.condition]]
name = "any death"
on = "death"
  [[global.condition.action]]
  name = "tell"
  notify = { http = "http://127.0.0.1:1/", text = "died" }
`

func TestAFileDeclaresWhatTheAPIDoes(t *testing.T) {
	t.Parallel()
	specs, err := Parse("pairmon.toml", cache)
	require.NoError(t, err)
	require.Len(t, specs, 4)
	e := specs[0]
	require.Equal(t, "cache", e.Name)
	require.Equal(t, core.KeepOnDeath, e.Flags)
	s := e.Settings
	require.True(t, s.Start)
	require.Equal(t, []string{"redis-server", "--port", "7777", "--save", ""}, s.Command.Argv)
	require.Equal(t, []string{"A=1", "LANG=C"}, s.Command.Env)
	require.Equal(t, core.Heartbeat{Period: time.Second, Low: 2, High: 4, Grace: 3 * time.Second}, s.Heartbeat)
	require.Equal(t, []core.Limit{{Resource: "core", Hard: core.Unlimited}, {Resource: "nofile", Soft: 1024, Hard: 1024}}, s.Command.Limits)
	require.Equal(t, core.Output{File: "/var/log/cache", Size: 1 << 20, Keep: 3}, s.Command.Output)
	require.Equal(t, []core.Dependency{{Entity: "disk"}, {Entity: "net", Restart: true}}, s.After)
	require.Equal(t, core.Budget{Limit: 5, Delays: []time.Duration{time.Second, 5 * time.Second}, Jitter: 0.5}, s.Restart)
	require.Equal(t, []core.KillStep{{Signal: int(unix.SIGINT), Wait: 2 * time.Second}, {Signal: 9, Wait: time.Second}}, s.Stop)
	require.Equal(t, "127.0.0.1:7777", s.Ready.Probe.TCP)

	death := e.Conditions[0]
	require.Equal(t, core.OnDeath, death.On)
	require.Equal(t, core.RearmCondition|core.KeepOnEmpty, death.Flags, "what a file declares outlasts a restart")
	require.Len(t, death.Actions, 3)
	require.NotNil(t, death.Actions[0].Restart)
	require.Equal(t, core.RearmAction|core.KeepOnFail|core.BreakOnFail, death.Actions[1].Flags)
	require.Equal(t, "it does not come up", death.Actions[1].OnFail[0].Log.Text)
	require.Zero(t, death.Actions[1].OnFail[0].Flags, "a fail action has none")
	require.Equal(t, []string{"redis-cli", "-p", "7777", "set", "warm", "1"}, death.Actions[2].Execute.Command.Argv)
	state := e.Conditions[1]
	require.Equal(t, core.Match{Not: true, Values: []int64{3}}, state.From)
	require.Equal(t, core.Match{Values: []int64{1, 2}}, state.To)
	require.Equal(t, core.Independent, state.Flags)

	require.False(t, specs[1].Settings.Start, "there is nothing to start")
	require.Equal(t, &core.Resource{RSS: 64 << 20, For: 3}, specs[2].Conditions[0].Resource)
	require.Equal(t, core.Global, specs[3].Name)
	require.Equal(t, "http://127.0.0.1:1/", specs[3].Conditions[0].Actions[0].Notify.HTTP)
}

func TestAMistakeIsToldWithItsLineAndWhatWasExpected(t *testing.T) {
	t.Parallel()
	const head = "[[entity]]\nname = \"a\"\n"
	const cond = head + "[[entity.condition]]\nname = \"c\"\non = \"death\"\n"
	const act = cond + "[[entity.condition.action]]\nname = \"x\"\n"
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"no TOML":                {head + "command = [\n", 3, ""},
		"unknown key":            {head + "comand = [\"x\"]\n", 3, "unknown key"},
		"unknown key further in": {cond + "[[entity.condition.action]]\nname = \"x\"\nrestrat = {}\n", 8, "unknown key"},
		"no name":                {"[[entity]]\ncommand = [\"x\"]\n", 1, "without a name"},
		"twice":                  {head + head, 4, "line 1 already"},
		"unknown dependency":     {head + "after = [\"b\"]\n", 3, "no entity of this file"},
		"type":                   {head + "command = \"x\"\n", 3, ""},
		"time":                   {head + "heartbeat = { period = \"soon\", low = 1 }\n", 3, "is no time"},
		"short period":           {head + "heartbeat = { period = \"1ms\", low = 1 }\n", 3, "at least 10ms"},
		"marks":                  {head + "heartbeat = { period = \"1s\", low = 3, high = 2 }\n", 3, "above the high mark"},
		"condition type":         {head + "[[entity.condition]]\nname = \"c\"\non = \"deth\"\n", 5, "abnormal_death"},
		"filter of another type": {cond + "to = 3\n", 6, "goes with on"},
		"nothing to do":          {act, 6, "0 things to do"},
		"two things to do":       {act + "restart = {}\nlog = \"x\"\n", 6, "2 things to do"},
		"wait without end":       {act + "waitfor = { path = \"/x\" }\n", 8, "no timeout"},
		"signal":                 {act + "signal = \"TREM\"\n", 8, "is no signal"},
		"delivery":               {act + "log = \"x\"\ndelivery = \"twice\"\n", 9, "at_most_once"},
		"limits":                 {head + "limits = { nofile = [9, 1] }\n", 3, "soft at most hard"},
		"readiness":              {head + "ready = { notify = true, beat = true }\n", 3, "2 signs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.toml", c.text)
			var m *Mistake
			require.True(t, errors.As(err, &m), "%v", err)
			require.Equal(t, c.line, m.Line, "%v", err)
			require.Contains(t, err.Error(), c.says)
			require.Contains(t, err.Error(), "f.toml:")
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.toml", "[[entity]]\nname = \"\"\nfoo = 1\n[[entity]]\nname = \"b\"\nafter = [\"z\"]\n")
	require.ErrorContains(t, err, "f.toml:2")
	require.ErrorContains(t, err, "f.toml:3")
	require.ErrorContains(t, err, "f.toml:6")
}

func FuzzParse(f *testing.F) {
	f.Add(cache)
	f.Add("[[entity]]\nname = \"a\"\nafter = [{}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		specs, err := Parse("f", text)
		if err == nil {
			for _, s := range specs {
				require.NotEmpty(t, s.Name)
			}
		}
	})
}
