package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands"
	"github.com/1fb4ed1c/tandem/ham/talk"
)

// A death is told in every way that there is: by a datagram, a signal, a POST, and on a client's connection.
func TestADeathIsToldToWhoeverWantsToKnow(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	var mu sync.Mutex
	var posted []hands.Message
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m hands.Message
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &m)
		mu.Lock()
		posted = append(posted, m)
		mu.Unlock()
	}))
	defer server.Close()
	watcher := `
[[entity]]
name = "watcher"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "mark", DAEMON_TEST_NAME = "watcher" }
`
	h := begin(t, watcher)
	datagrams := h.datagrams("told")
	pid := h.running("watcher").Process.PID
	h.until("it listens", func() bool { return len(h.lines("watcher.up")) == 1 })
	h.write(watcher + strings.NewReplacer("$PID", fmt.Sprint(pid), "$URL", server.URL).Replace(`
[[entity]]
name = "p"
command = ["sleep", "1000"]
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "datagram"
    notify = { datagram = "$DIR/told", text = "by datagram" }
    [[entity.condition.action]]
    name = "signal"
    notify = { signal = { signal = "USR1", pid = $PID } }
    [[entity.condition.action]]
    name = "post"
    notify = { http = "$URL", text = "by http" }
`))
	require.NoError(t, h.cmd.Process.Signal(unix.SIGHUP)) // and so the file is read again
	victim := h.running("p")

	c := h.dial()
	client := h.ask(c, core.Request{Control: &core.Control{Verb: core.VerbosityGet}}).Client
	lines := h.listen(client)
	h.ask(c, core.Request{Declare: &core.Declare{Path: core.Handle{Path: core.Path{Entity: "p", Condition: "death"}},
		Action: &core.ActionSpec{Name: "line", Notify: &core.Notify{Client: client, Text: "by line"}}}})
	h.kill(victim.Process.PID)
	h.until("all have been told", func() bool { return h.told("p/death/line action done") == 1 })

	heard := datagrams()
	require.Len(t, heard, 1)
	m := heard[0]
	require.Equal(t, "by datagram", m.Text)
	require.Equal(t, core.OnDeath, m.Cause.Type)
	require.Equal(t, victim.Process.PID, m.Cause.PID)
	require.Equal(t, int(unix.SIGKILL), m.Cause.Exit.Signal)
	mu.Lock()
	require.Len(t, posted, 1)
	require.Equal(t, "by http", posted[0].Text)
	require.Equal(t, m.Cause, posted[0].Cause, "broken promise: all hear the same")
	mu.Unlock()
	h.until("the line has come", func() bool { return len(lines()) == 1 })
	require.Equal(t, "by line", lines()[0].Text)
	require.Equal(t, m.Cause, lines()[0].Cause)
	h.until("the signal has come", func() bool { return len(h.lines("watcher.signals")) == 1 })
	require.Equal(t, pid, h.entity("watcher").Process.PID, "broken promise: a file read again touches nothing that is the same")

	require.NoError(t, c.Close())
	h.until("what was to be told to a client goes with it", func() bool {
		for _, a := range h.entity("p").Conditions[0].Actions {
			if a.Spec.Name == "line" {
				return false
			}
		}
		return true
	})
}

// listen collects what actions tell a client.
func (h *host) listen(client uint64) func() []hands.Message {
	h.Helper()
	var mu sync.Mutex
	var all []hands.Message
	ready, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(end)
		_ = talk.Read(h.Context(), filepath.Join(h.root, talk.Pair, talk.ReadSocket), talk.Query{Op: talk.OpHistory, Last: 1, Follow: true, Client: client}, func(l talk.Line) bool {
			if l.Ready {
				close(ready)
			}
			var m hands.Message
			if len(l.Told) > 0 && json.Unmarshal(l.Told, &m) == nil {
				mu.Lock()
				all = append(all, m)
				mu.Unlock()
			}
			return true
		})
	}()
	h.Cleanup(func() { <-end })
	select {
	case <-ready:
	case <-time.After(patience):
		require.FailNow(h, "broken promise: a client is told when it hears")
	}
	return func() []hands.Message {
		mu.Lock()
		defer mu.Unlock()
		return all[:len(all):len(all)]
	}
}

// A program that always dies is restarted within its budget. Then HAM gives up, and says so in every way.
func TestACrashLoopEndsWithTheBudget(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
command = ["/bin/sh", "-c", "echo x >> $DIR/runs; exit 3"]
restart = { limit = 3, delays = ["1ms"] }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
      [[entity.condition.action.on_fail]]
      name = "call for help"
      execute = ["/bin/sh", "-c", "echo fail list >> $DIR/help"]
    [[entity.condition.action]]
    name = "go on"
    log = "the list goes on"
  [[entity.condition]]
  name = "gave up"
  on = "gave_up"
    [[entity.condition.action]]
    name = "call for help"
    execute = ["/bin/sh", "-c", "echo gave up >> $DIR/help"]
`)
	h.until("help was called for", func() bool { return len(h.lines("help")) == 2 })
	require.ElementsMatch(t, []string{"fail list", "gave up"}, h.lines("help"))
	require.Len(t, h.lines("runs"), 4, "broken promise: three restarts, and no more")
	e := h.entity("p")
	require.Equal(t, core.Failed, e.Process.Phase)
	require.EqualValues(t, 4, e.Deaths)
	require.Equal(t, 3, e.LastExit.Code)
	require.Equal(t, 1, h.told("p gave up"))
	require.NotNil(t, e.Conditions[0].Actions[0].Spec.Restart, "broken promise: a restart that the budget cut short is not removed")

	h.ask(h.dial(), core.Request{Control: &core.Control{Path: core.Handle{Path: core.Path{Entity: "p"}}, Verb: core.StartProcess}})
	h.until("it was tried again", func() bool { return h.told("p gave up") == 2 })
	require.Len(t, h.lines("runs"), 8, "broken promise: to start it clears the budget")
}

// An action that fails: its fail list runs, and the rest of the list is skipped if it says so.
func TestAFailListRunsWhenItsActionFails(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
  [[entity.condition]]
  name = "raised"
  on = "raise"
    [[entity.condition.action]]
    name = "fails"
    execute = ["/bin/sh", "-c", "echo that was it >&2; exit 9"]
      [[entity.condition.action.on_fail]]
      name = "first"
      execute = ["/bin/sh", "-c", "echo first >> $DIR/order"]
      [[entity.condition.action.on_fail]]
      name = "second"
      execute = ["/bin/sh", "-c", "echo second >> $DIR/order"]
    [[entity.condition.action]]
    name = "next"
    execute = ["/bin/sh", "-c", "echo next >> $DIR/order"]
    [[entity.condition.action]]
    name = "too late"
    waitfor = { path = "$DIR/never", timeout = "20ms" }
    break_on_fail = true
    [[entity.condition.action]]
    name = "never"
    execute = ["/bin/sh", "-c", "echo never >> $DIR/order"]
  [[entity.condition]]
  name = "failed"
  on = "action_failed"
  independent = true
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo \"$HAM_TEXT\" >> $DIR/failures"]
`)
	h.until("it is declared", func() bool { return h.entity("p") != nil })
	h.ask(h.dial(), core.Request{Raise: &core.Raise{Entity: "p"}})
	h.until("both failures have been told", func() bool { return len(h.lines("failures")) == 2 })
	require.Equal(t, []string{"first", "second", "next"}, h.lines("order"))
	require.Contains(t, h.lines("failures")[0], "p/raised/fails: ")
	require.Contains(t, h.lines("failures")[0], "exit status 9: that was it", "broken promise: a command that failed tells what it said last")
	require.Contains(t, h.lines("failures")[1], "p/raised/too late: ")
	a := h.entity("p").Conditions[0].Actions
	require.Len(t, a, 4, "broken promise: an action of a file stays when it has failed")
	require.EqualValues(t, 1, a[0].Fails)
}

// A program that uses more than it may.
func TestAResourceThatIsExceededIsToldOnce(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
command = ["$SELF"]
env = { DAEMON_TEST_ROLE = "hog" }
sample = "20ms"
  [[entity.condition]]
  name = "files"
  on = "resource_exceeded"
  fds = 60
  for = 2
    [[entity.condition.action]]
    name = "note"
    execute = ["/bin/sh", "-c", "echo \"$HAM_TEXT\" >> $DIR/exceeded"]
`)
	h.running("p")
	require.Empty(t, h.lines("exceeded"))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir(), "go"), nil, 0o600))
	h.until("it is told", func() bool { return len(h.lines("exceeded")) > 0 })
	require.NoError(t, os.Remove(filepath.Join(h.dir(), "go")))
	h.until("it uses less again", func() bool {
		u := h.entity("p").Usage
		return len(u) == 0 || u[0].Over == 0
	})
	require.Len(t, h.lines("exceeded"), 1, "broken promise: once for each time that a limit is passed")
}

func TestOutputGoesToFilesThatAreRotated(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
command = ["/bin/sh", "-c", "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); if [ $i = 200 ]; then touch $DIR/half; while [ ! -e $DIR/go ]; do sleep 0.01; done; fi; done; touch $DIR/done; sleep 1000"]
output = { file = "$DIR/out", size = "1KiB", keep = 100 }
`)
	half := filepath.Join(h.dir(), "half")
	h.until("half is written", func() bool { _, err := os.Stat(half); return err == nil })
	h.until("and has been read", func() bool { return len(h.output("out")) == 200 })
	ham, _ := h.protected()
	h.kill(ham)
	require.NoError(t, os.WriteFile(filepath.Join(h.dir(), "go"), nil, 0o600))
	h.until("all is written", func() bool { _, err := os.Stat(filepath.Join(h.dir(), "done")); return err == nil })
	h.until("and has been read", func() bool { return len(h.output("out")) == 400 })
	for i, line := range h.output("out") {
		require.Equal(t, fmt.Sprint("line ", i), line, "broken promise: output is lost neither to a rotation nor to a takeover")
	}
	info, err := os.Stat(filepath.Join(h.dir(), "out.1"))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(2<<10))
	require.Empty(t, h.entity("p").Deaths, "broken promise: a program sees no broken pipe")
}

// output returns the lines of a file and of those that it was renamed to, oldest first.
func (h *host) output(name string) (all []string) {
	for i := 100; i > 0; i-- {
		all = append(all, h.lines(fmt.Sprintf("%s.%d", name, i))...)
	}
	return append(all, h.lines(name)...)
}

// A command of a list that is in flight does not outlive HAM, which would have ended it in time.
func TestACommandInFlightEndsWhenHAMIsStopped(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, `
[[entity]]
name = "p"
  [[entity.condition]]
  name = "raised"
  on = "raise"
    [[entity.condition.action]]
    name = "long"
    execute = ["/bin/sh", "-c", "touch $DIR/runs; sleep 1000; true"]
`)
	h.until("it is declared", func() bool { return h.entity("p") != nil })
	h.ask(h.dial(), core.Request{Raise: &core.Raise{Entity: "p"}})
	h.until("it runs", func() bool { _, err := os.Stat(filepath.Join(h.dir(), "runs")); return err == nil })
	require.NoError(t, h.cmd.Process.Signal(unix.SIGTERM))
	require.Zero(t, h.exitCode())
	require.Empty(t, h.left(), "broken promise: nothing is left")
}
