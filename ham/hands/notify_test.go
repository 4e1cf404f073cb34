package hands

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// talker is a program that says what its gate is told, and the output of which is logged.
func talker(t *testing.T, b *bench, entity string, fdStore int) (proc.ID, gate) {
	t.Helper()
	g := newGate(t)
	c := role(t, "notify", "HANDS_TEST_GATE="+g.path)
	c.FDStore = fdStore
	return b.spawn(t, core.Spawn{Entity: entity, Command: c, Notify: true}), g
}

func TestWhatAProgramSaysIsPassedOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id, g := talker(t, b, "talker", 0)
	for _, c := range []struct {
		says string
		want core.Notified
	}{
		{"READY=1;STATUS=well", core.Notified{Ready: true, HasStatus: true, Status: "well"}},
		{"WATCHDOG=1", core.Notified{Watchdog: true}},
		{"WATCHDOG=trigger", core.Notified{Trigger: true}},
		{"RELOADING=1;MONOTONIC_USEC=1", core.Notified{Reloading: true}},
		{"STOPPING=1", core.Notified{Stopping: true}},
		{"EXTEND_TIMEOUT_USEC=2000000", core.Notified{Extend: 2 * time.Second}},
	} {
		g.say(t, c.says)
		c.want.Entity, c.want.PID = "talker", id.PID
		b.notified(t, "talker", c.says, func(n core.Notified) bool {
			return n.Ready == c.want.Ready && n.Watchdog == c.want.Watchdog && n.Trigger == c.want.Trigger && n.Stopping == c.want.Stopping &&
				n.Reloading == c.want.Reloading && n.Extend == c.want.Extend && n.Status == c.want.Status && n.PID == id.PID
		})
	}
}

func TestStrangersAreNotHeard(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	_, g := talker(t, b, "talker", 0)
	addr := b.notifyAddr("talker", uint32(unix.Geteuid()))
	require.NotEqual(t, byte('@'), addr[0])
	require.NoError(t, sendDatagram(addr, []byte("STATUS=from a stranger")))
	g.say(t, "STATUS=from the program")
	b.notified(t, "talker", "a message", func(n core.Notified) bool {
		require.Equal(t, "from the program", n.Status)
		return true
	})
}

func TestTheMainProcessMayBeAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	_, g := talker(t, b, "talker", 0)
	other := b.spawn(t, core.Spawn{Entity: "another", Command: sh("exec sleep 60")})
	g.say(t, "MAINPID="+other.String()[:strings.IndexByte(other.String(), '@')])
	n := b.notified(t, "talker", "MAINPID", func(n core.Notified) bool { return n.MainPID != 0 })
	require.Equal(t, other, proc.ID{PID: n.MainPID, Start: n.MainStart})
	b.Do(core.Watch{Target: core.Target{Entity: "talker", PID: other.PID, Start: other.Start}, Notify: true})
	b.performed("talker")
	b.Do(core.SendSignal{ID: b.id(), Signal: core.Signal{PID: other.PID, Signal: 15}, As: core.Owner{Admin: true}})
	await(t, b, "its end", func(e core.Event) (bool, bool) {
		return true, e.Exited != nil && e.Exited.Entity == "talker" && e.Exited.PID == other.PID && e.Exited.Exit.Signal == 15
	})
}

func TestStoredDescriptorsComeBackAtTheNextStart(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id, g := talker(t, b, "talker", 3)
	g.say(t, "fd cache") // two descriptors each
	n := b.notified(t, "talker", "the store", func(n core.Notified) bool { return n.HasFDs })
	require.Equal(t, []string{"cache", "cache"}, n.FDs)
	g.say(t, "fd more;FDNAME=bad:name")
	b.notified(t, "talker", "the full store", func(n core.Notified) bool {
		return n.HasFDs && strings.Join(n.FDs, " ") == "cache cache stored"
	})
	g.say(t, "exit 0")
	b.exited(t, id.PID)
	_, g = talker(t, b, "talker", 3)
	eventually(t, "the descriptors are not passed on", func() bool {
		lines := b.log.lines("talker")
		return len(lines) > 1 && lines[1] == "listen true 3 cache:cache:stored"
	})
	g.say(t, "FDSTOREREMOVE=1;FDNAME=cache")
	b.notified(t, "talker", "the removal", func(n core.Notified) bool { return n.HasFDs && strings.Join(n.FDs, " ") == "stored" })
	b.Do(core.Forget{Entity: "talker"})
	eventually(t, "descriptors of a forgotten entity are held", func() bool { return len(b.held.keys("talker", "store")) == 0 })
}

func TestSystemdsOwnClientIsUnderstood(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-notify"); err != nil {
		t.Skip("systemd-notify is not installed")
	}
	b := newBench(t, Config{})
	// It ends at once, and may be gone when its message is read.
	b.spawn(t, core.Spawn{Entity: "script", Command: sh("systemd-notify --ready --status=well; exec sleep 60"), Notify: true})
	n := b.notified(t, "script", "READY=1", func(n core.Notified) bool { return n.Ready })
	require.Equal(t, "well", n.Status)
}

func TestAProgramOfAnotherUserIsHeard(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t)
	if _, err := exec.LookPath("systemd-notify"); err != nil {
		t.Skip("systemd-notify is not installed")
	}
	b := newBench(t, Config{})
	c := sh("systemd-notify --ready; exec sleep 60")
	c.User = "daemon"
	b.spawn(t, core.Spawn{Entity: "script", Command: c, Notify: true})
	b.notified(t, "script", "READY=1", func(n core.Notified) bool { return n.Ready })
}

func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{"READY=1", "STATUS=x\nMAINPID=17\nFDSTORE=1\nFDNAME=a", "WATCHDOG=trigger\n", "EXTEND_TIMEOUT_USEC=-1", "MAINPID=1", "=\n==", "FDNAME=a:b\nFDSTORE=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := parseMessage(text)
		require.GreaterOrEqual(t, m.Extend, time.Duration(0))
		require.NotEqual(t, 1, m.MainPID)
		require.GreaterOrEqual(t, m.MainPID, 0)
		require.False(t, strings.ContainsAny(m.fdName, ":\n\x00"), "%q", m.fdName)
		require.LessOrEqual(t, len(m.Status), 3*maxStatus)
		if m.store {
			require.NotEmpty(t, m.fdName)
		}
	})
}

func TestAnExistingDaemonTellsWhenItIsReady(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	b := newBench(t, Config{})
	socket := filepath.Join(t.TempDir(), "redis")
	id := b.spawn(t, core.Spawn{Entity: "cache", Notify: true, Command: core.Command{Dir: t.TempDir(),
		Argv: []string{"redis-server", "--port", "0", "--unixsocket", socket, "--supervised", "systemd", "--save", ""}}})
	b.notified(t, "cache", "READY=1", func(n core.Notified) bool { return n.Ready && n.PID == id.PID })
	require.Empty(t, b.done(t, b.wait(core.WaitFor{Unix: socket})).Err)
	require.Empty(t, b.done(t, b.stop(id, true, admin)).Err)
	require.Equal(t, core.Exit{Known: true}, b.exited(t, id.PID).Exit, "it was not ended in good order")
}
