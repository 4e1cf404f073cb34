package hands

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func TestHowAProcessEndedIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	for script, want := range map[string]core.Exit{
		"exit 0":        {Known: true},
		"exit 7":        {Known: true, Code: 7},
		"kill -TERM $$": {Known: true, Signal: 15},
		"kill -KILL $$": {Known: true, Signal: 9},
	} {
		id := b.spawn(t, core.Spawn{Entity: script, Command: sh(script)})
		got := b.exited(t, id.PID)
		require.Equal(t, core.Exited{Entity: script, PID: id.PID, Start: id.Start, Exit: want}, got)
	}
}

func TestAStartIsToldBeforeTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	for range 50 {
		id := b.spawn(t, core.Spawn{Entity: "hasty", Command: sh("exit 3")})
		b.exited(t, id.PID)
	}
	started := map[int]bool{}
	for _, e := range b.events {
		if e.Spawned != nil {
			started[e.Spawned.PID] = true
		}
		if e.Exited != nil {
			require.True(t, started[e.Exited.PID], "the end of %d was told before its start", e.Exited.PID)
		}
	}
}

func TestWhatCannotBeStartedIsToldWithTheReason(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	script := filepath.Join(t.TempDir(), "not-executable")
	require.NoError(t, os.WriteFile(script, nil, 0o600))
	limits := []core.Limit{{Resource: "core"}}
	for name, c := range map[string]core.Command{
		"no such file or directory":   {Argv: []string{"/no/such/program"}},
		"not found in":                {Argv: []string{"no-such-program"}},
		"no command given":            {},
		"permission denied":           {Argv: []string{script}},
		"unknown resource limit":      {Argv: []string{"true"}, Limits: []core.Limit{{Resource: "luck"}}},
		"unknown user":                {Argv: []string{"true"}, User: "no-such-user"},
		"/no/such/dir":                {Argv: []string{"true"}, Output: core.Output{File: "/no/such/dir/out"}},
		"execute /no/such/program":    {Argv: []string{"/no/such/program"}, Limits: limits},
		"set dir=/no/such: no such":   {Argv: []string{"true"}, Dir: "/no/such", Limits: limits},
		"cannot listen at tcp nobody": {Argv: []string{"true"}, Sockets: []core.Socket{{Network: "tcp", Address: "nobody"}}},
	} {
		id := b.id()
		b.Do(core.Spawn{ID: id, Entity: "bad", Command: c, As: core.Owner{Admin: true}})
		got := b.spawned(t, id)
		require.Contains(t, got.Err, name)
		require.Zero(t, got.PID)
		require.False(t, got.Retry, got.Err)
	}
}

func TestAProgramThatForgotExecIsNoEndlessLoop(t *testing.T) {
	t.Parallel()
	null := must(unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0))
	defer unix.Close(null)
	l := launch{argv: []string{"true"}, std: [3]int{null, null, null}, limits: []limit{{unix.RLIMIT_CORE, 0, 0}}}
	_, _, err := l.prepare("/bin/true", "/bin/true")
	require.ErrorIs(t, err, errNoExec)
}

func TestAProcessHasExactlyTheDescriptorsMeantForIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	leak, err := os.Open("/etc/passwd") // of other code in this process, which forgot about close-on-exec
	require.NoError(t, err)
	defer leak.Close()
	_, err = unix.FcntlInt(leak.Fd(), unix.F_SETFD, 0)
	require.NoError(t, err)
	for _, limits := range [][]core.Limit{nil, {{Resource: "core"}}} { // started at once, or prepared from inside
		out := filepath.Join(t.TempDir(), "out")
		c := role(t, "files")
		c.Output.File, c.Limits = out, limits
		id := b.spawn(t, core.Spawn{Entity: "files", Command: c})
		b.exited(t, id.PID)
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		var fds []string
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "anon_inode") && !strings.Contains(line, " /sys/fs/cgroup/") && !strings.Contains(line, " /proc/") { // of its own runtime; the listing itself
				fds = append(fds, strings.TrimSpace(line))
			}
		}
		require.Equal(t, []string{"fd 0 /dev/null", "fd 1 " + out, "fd 2 " + out}, fds)
	}
}

func TestAProcessLeadsItsOwnSessionAndGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "leader", Command: sh("exec sleep 60")})
	s, ok := readStat(id.PID)
	require.True(t, ok)
	require.Equal(t, id.PID, s.session)
	require.Equal(t, id.PID, s.group)
}

func TestTheEnvironmentIsHAMsOwnWithWhatWasDeclared(t *testing.T) {
	t.Setenv("HANDS_TEST_OWN", "own")
	t.Setenv("HANDS_TEST_OVER", "own")
	t.Setenv("NOTIFY_SOCKET", "/between/HAM/and/systemd")
	t.Setenv("HAM_SPAWN", "17")
	b := newBench(t, Config{})
	env := func(c core.Command) string {
		c.Argv, c.Output.File = []string{"/usr/bin/env"}, filepath.Join(t.TempDir(), "out")
		b.exited(t, b.spawn(t, core.Spawn{Entity: "env", Command: c, Watchdog: 3e9}).PID)
		text, err := os.ReadFile(c.Output.File)
		require.NoError(t, err)
		return "\n" + string(text)
	}
	got := env(core.Command{Env: []string{"HANDS_TEST_OVER=declared", "NEW=new"}})
	for _, want := range []string{"HANDS_TEST_OWN=own", "HANDS_TEST_OVER=declared", "NEW=new", "WATCHDOG_USEC=3000000", "HAM_SPAWN=1", "HAM_RUN=" + b.cfg.Dir} {
		require.Contains(t, got, "\n"+want+"\n")
	}
	require.NotContains(t, got, "systemd")
	require.NotContains(t, got, "\nHAM_SPAWN=17\n")
	require.Equal(t, 1, strings.Count(got, "HANDS_TEST_OVER="))
	require.NotContains(t, env(core.Command{Bare: true, Env: []string{"A=b"}}), "HANDS_TEST_OWN")
}

func TestLimitsAndDirectoryHoldFromTheFirstInstruction(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	dir := t.TempDir()
	c := sh("ulimit -Sn; ulimit -Hn; ulimit -c; pwd")
	c.Dir, c.Output.File = dir, filepath.Join(dir, "out")
	c.Limits = []core.Limit{{Resource: "nofile", Soft: 123, Hard: 456}, {Resource: "CORE", Soft: 0, Hard: core.Unlimited}}
	b.exited(t, b.spawn(t, core.Spawn{Entity: "limited", Command: c}).PID)
	text, err := os.ReadFile(c.Output.File)
	require.NoError(t, err)
	require.Equal(t, "123\n456\n0\n"+dir+"\n", string(text))
}

func TestAProcessRunsAsItsUser(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t)
	b := newBench(t, Config{})
	dir := openDir(t)
	for i, c := range []struct {
		as      core.Owner
		command core.Command
		want    string
	}{
		{core.Owner{Admin: true}, core.Command{User: "daemon"}, "1 1 1 /usr/sbin daemon"},
		{core.Owner{Admin: true}, core.Command{User: "12345", Limits: []core.Limit{{Resource: "core"}}}, "12345 12345 12345"},
		{core.Owner{Admin: true}, core.Command{User: "daemon", Group: "sys", Limits: []core.Limit{{Resource: "core"}}}, "1 3 3 1 /usr/sbin daemon"},
		{core.Owner{UID: 1, GID: 1}, core.Command{}, "1 1 1 /usr/sbin daemon"},
	} {
		out := filepath.Join(dir, strconv.Itoa(i))
		c.command.Argv = []string{"sh", "-c", "echo $(id -u) $(id -g) $(id -G) $HOME $USER > " + out}
		if c.want[:5] == "12345" {
			c.command.Argv[2] = "echo $(id -u) $(id -g) $(id -G) > " + out
		}
		id := b.id()
		b.Do(core.Spawn{ID: id, Entity: "user", Command: c.command, As: c.as})
		got := b.spawned(t, id)
		require.Empty(t, got.Err)
		require.Zero(t, b.exited(t, got.PID).Exit.Code)
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Equal(t, c.want, strings.TrimSpace(string(text)))
	}
}

func TestAnOwnerCannotBecomeSomebodyElse(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t)
	b := newBench(t, Config{})
	for _, c := range []core.Command{{User: "root"}, {Group: "root"}, {Output: core.Output{File: filepath.Join(t.TempDir(), "out")}},
		{Sockets: []core.Socket{{Network: "tcp", Address: "127.0.0.1:1"}}}, {Sockets: []core.Socket{{Network: "unix", Address: filepath.Join(t.TempDir(), "s")}}}} {
		c.Argv = []string{"true"}
		id := b.id()
		b.Do(core.Spawn{ID: id, Entity: "climber", Command: c, As: core.Owner{UID: 1, GID: 1}})
		got := b.spawned(t, id)
		require.NotEmpty(t, got.Err, "%+v", c)
	}
}
