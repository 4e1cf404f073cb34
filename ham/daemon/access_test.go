package daemon_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/receive"
)

const nobody = 65534

// asked is something that another user asks of HAM, and what became of it.
type asked struct {
	Name    string
	Request core.Request
	Err     string
}

// askAsNobody has requests asked, one after the other, by a process of another user through the door.
func (h *host) askAsNobody(door string, requests ...asked) (out []asked) {
	h.Helper()
	in, err := json.Marshal(requests)
	require.NoError(h, err)
	require.NoError(h, json.Unmarshal(h.asNobody("client", door, string(in)), &out))
	return out
}

// asNobody runs a role of this program as another user and returns what it prints.
func (h *host) asNobody(role, door, input string) []byte {
	h.Helper()
	cmd := exec.Command("/proc/self/exe") // whose directory others may not enter
	cmd.Env = []string{envRole + "=" + role, "DAEMON_TEST_DOOR=" + door}
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(h, err, "%s", &errs)
	return out
}

// openDoor makes a directory that all users can enter.
func openDoor(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "door")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

const secret = `
[[entity]]
name = "secret"
command = ["/bin/sh", "-c", "sleep 1000 # the password is in my arguments"]
env = { PASSWORD = "it is in my environment" }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
    [[entity.condition.action]]
    name = "tell"
    execute = ["/bin/echo", "the password is in my arguments"]
  [[entity.condition]]
  name = "raised"
  on = "raise"
  independent = true
    [[entity.condition.action]]
    name = "run"
    execute = ["/bin/sh", "-c", "sleep 1000 # password"]
`

func TestAnotherUserMayLookAndMindHisOwnBusiness(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can come as another user: run this test as root")
	}
	defer takeTurn()()
	door := openDoor(t)
	h := begin(t, secret, "DAEMON_TEST_DOOR="+door)
	pid := h.running("secret").Process.PID
	h.ask(h.dial(), core.Request{Raise: &core.Raise{Entity: "secret"}})
	h.until("a list is in flight", func() bool { return len(h.jobs()) == 1 })

	seen := string(h.asNobody("looker", door, ""))
	require.Contains(t, seen, `"name":"secret"`, "broken promise: all may look")
	require.Contains(t, seen, fmt.Sprintf(`"pid":%d`, pid))
	require.NotContains(t, seen, "password", "broken promise: but not at the arguments of others")
	require.NotContains(t, seen, "PASSWORD", "broken promise: nor at their environment")

	theirs := core.Handle{Path: core.Path{Entity: "secret"}}
	his := core.Handle{Path: core.Path{Entity: "his"}}
	log := core.ActionSpec{Name: "x", Log: &core.Log{Text: "hm"}}
	for _, no := range h.askAsNobody(door,
		asked{Name: "stop theirs", Request: core.Request{Control: &core.Control{Path: theirs, Verb: core.StopProcess}}},
		asked{Name: "remove theirs", Request: core.Request{Remove: &core.Remove{Path: theirs, Stop: true}}},
		asked{Name: "detach theirs", Request: core.Request{Detach: &core.Detach{Path: theirs}}},
		asked{Name: "change theirs", Request: core.Request{Declare: &core.Declare{Path: core.Handle{Path: core.Path{Entity: "secret", Condition: "death"}}, Action: &log}}},
		asked{Name: "report their state", Request: core.Request{State: &core.ReportState{Entity: theirs, State: 1}}},
		asked{Name: "declare for all", Request: core.Request{Declare: &core.Declare{Condition: &core.ConditionSpec{Name: "all", On: core.OnDeath, Actions: []core.ActionSpec{log}}}}},
		asked{Name: "stop all", Request: core.Request{Control: &core.Control{Verb: core.StopAll}}},
		asked{Name: "be loud", Request: core.Request{Control: &core.Control{Verb: core.VerbositySet, Value: 9}}},
		asked{Name: "run as root", Request: core.Request{Declare: &core.Declare{Entity: &core.EntitySpec{Name: "root's",
			Settings: &core.Settings{Start: true, Command: core.Command{Argv: []string{"/bin/true"}, User: "root"}}}}}},
	) {
		require.NotEmpty(t, no.Err, "broken promise: %s is not for everybody", no.Name)
		require.True(t, strings.Contains(no.Err, core.ErrNotPermitted.Error()) || strings.Contains(no.Err, "administrator"), "%s: %s", no.Name, no.Err)
	}
	require.Equal(t, pid, h.entity("secret").Process.PID)

	his1 := core.EntitySpec{Name: "his", Flags: core.KeepOnDeath, Settings: &core.Settings{Start: true,
		Command: core.Command{Argv: []string{"/bin/sh", "-c", "id -u; id -G; sleep 1000"}, Output: core.Output{File: filepath.Join(openForAll(t), "out")}}},
		Conditions: []core.ConditionSpec{{Name: "raised", On: core.OnRaise, Type: core.Anything(), Class: core.Anything(), Severity: core.Anything(),
			Actions: []core.ActionSpec{{Name: "kill", Signal: &core.Signal{PID: pid, Signal: 9}}}}}}
	for _, yes := range h.askAsNobody(door,
		asked{Name: "declare his own", Request: core.Request{Declare: &core.Declare{Entity: &his1}}},
		asked{Name: "raise his own", Request: core.Request{Raise: &core.Raise{Entity: "his"}}},
	) {
		require.Empty(t, yes.Err, "broken promise: what is his he may: %s", yes.Name)
	}
	h.running("his")
	out := his1.Settings.Command.Output.File
	h.until("his program has said who it is", func() bool { b, _ := os.ReadFile(out); return strings.Count(string(b), "\n") >= 2 })
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%d\n%d\n", nobody, nobody), string(b), "broken promise: what runs for him runs as him, in his groups only")
	h.until("his signal has failed", func() bool { return h.told("his/raised/kill action failed") == 1 })
	require.Equal(t, pid, h.entity("secret").Process.PID, "broken promise: what is done for him is done with his rights")
	ham, _ := h.protected()
	h.kill(ham) // and another HAM knows whose it is
	stop := h.askAsNobody(door, asked{Name: "stop", Request: core.Request{Control: &core.Control{Path: his, Verb: core.StopProcess}}},
		asked{Name: "stop theirs", Request: core.Request{Control: &core.Control{Path: theirs, Verb: core.StopProcess}}})
	require.Empty(t, stop[0].Err)
	require.NotEmpty(t, stop[1].Err)
	h.until("his program has stopped", func() bool { return h.entity("his").Process.Phase == core.Stopped })
}

func openForAll(t *testing.T) string {
	t.Helper()
	dir := openDoor(t)
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}

// HAM answers whoever is entitled to it, whatever others do at its sockets.
func TestHostileInputAtTheSocketsHarmsNobody(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	door := openDoor(t)
	h := begin(t, secret, "DAEMON_TEST_DOOR="+door)
	pid := h.running("secret").Process.PID
	ham, guardian := h.protected()
	c := h.dial()
	rng := rand.New(rand.NewPCG(1, 2))
	garbage := make([]byte, 1<<16)
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	for _, socket := range []string{filepath.Join(h.root, talk.Pair, talk.ReadSocket), filepath.Join(door, talk.ReadSocket)} {
		for _, input := range []string{"", "\n", "{}\n", "null\n", "[1]\n", `{"op":"history","after":-1}` + "\n", `{"op":"entities","names":[1]}` + "\n", string(garbage),
			strings.Repeat("x", talk.MaxQuery+1) + "\n", strings.Repeat("[", 1<<15)} {
			answer := h.shout(socket, input)
			require.Contains(t, answer, `"error"`, "broken promise: nonsense is answered with what was expected: %.40q", input)
		}
	}
	// Followers that never read, and connections that never ask: more than there may be.
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range 600 {
		if c, err := dialUnix(filepath.Join(door, talk.ReadSocket)); err == nil {
			open = append(open, c)
			if i%2 == 0 {
				_, _ = c.Write([]byte(`{"op":"history","follow":true}` + "\n"))
			}
		}
	}
	for range 300 {
		if fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err == nil {
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(door, talk.DoorSocket)}); err == nil {
				_ = unix.Send(fd, garbage[:rng.IntN(len(garbage))], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			}
			defer unix.Close(fd)
		}
	}
	h.until("the door is full", func() bool {
		return strings.Contains(h.shout(filepath.Join(door, talk.ReadSocket), `{"op":"root"}`+"\n"), "too many readers")
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, talk.Read(ctx, filepath.Join(h.root, talk.Pair, talk.ReadSocket), talk.Query{Op: talk.OpRoot}, func(talk.Line) bool { return true }),
		"broken promise: whoever owns HAM is answered, at once")
	require.Equal(t, pid, h.entity("secret").Process.PID)
	for n := range int64(50) {
		h.ask(c, core.Request{State: &core.ReportState{Entity: core.Handle{Path: core.Path{Entity: "secret"}}, State: n}})
	}
	nowHAM, nowGuardian := h.protected()
	require.Equal(t, [2]int{ham, guardian}, [2]int{nowHAM, nowGuardian}, "broken promise: HAM does not even notice")
}

func dialUnix(path string) (net.Conn, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return net.DialTimeout("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), patience)
}

// shout sends something to the reading socket, says that this was all, and returns the first line of the answer.
func (h *host) shout(socket, text string) string {
	h.Helper()
	c, err := dialUnix(socket)
	require.NoError(h, err)
	defer c.Close()
	require.NoError(h, c.SetDeadline(time.Now().Add(patience)))
	go func() {
		_, _ = c.Write([]byte(text))
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}

// playClient asks HAM, through the door, for what it reads, and tells what became of it.
func playClient() {
	var all []asked
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := receive.Dial(ctx, talk.Pair, receive.Socket(filepath.Join(os.Getenv("DAEMON_TEST_DOOR"), talk.DoorSocket)))
	if err != nil {
		panic(err)
	}
	for i := range all {
		if _, err := talk.Ask(ctx, c, all[i].Request); err != nil {
			all[i].Err = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		panic(err)
	}
}

// playLooker prints all that it is told.
func playLooker() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, op := range []string{talk.OpEntities, talk.OpRunning, talk.OpHistory, talk.OpRoot} {
		err := talk.Read(ctx, filepath.Join(os.Getenv("DAEMON_TEST_DOOR"), talk.ReadSocket), talk.Query{Op: op}, func(l talk.Line) bool {
			return json.NewEncoder(os.Stdout).Encode(l) == nil
		})
		if err != nil {
			panic(err)
		}
	}
}
