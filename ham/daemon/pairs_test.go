package daemon_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// startBank starts a process pair by hand, in HAM's run directory.
func (h *host) startBank() {
	h.Helper()
	self, err := os.Executable()
	require.NoError(h, err)
	cmd := exec.Command(self, "an argument")
	cmd.Dir = h.dir()
	cmd.Env = append(os.Environ(), envRole+"=bank", envDir+"="+h.dir(), "BANK_RUN="+h.root, "BANK_MOTTO=nothing is lost")
	cmd.Stdout, cmd.Stderr = h.log, h.log
	require.NoError(h, cmd.Start())
	end := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(end)
	}()
	h.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = pair.Stop(ctx, h.root, "bank") // if it is still that one
		<-end
	})
}

// members waits until the pair is whole, and returns it.
func (h *host) members(name string) (e *core.Entity, primary, backup int) {
	h.Helper()
	h.until("both members of "+name+" are shown", func() bool {
		e = h.entity(name)
		if e == nil || e.Pair == nil || len(e.Pair.Members) != 2 || e.Process.PID != e.Pair.Members[0].PID {
			return false
		}
		for _, m := range e.Pair.Members {
			if !(proc.ID{PID: m.PID, Start: m.Start}).Alive() {
				return false
			}
		}
		return e.Pair.Members[1].Synchronised && e.Process.Phase == core.Running
	})
	return e, e.Pair.Members[0].PID, e.Pair.Members[1].PID
}

// killPair kills both members in one moment.
func (h *host) killPair(name string) {
	h.Helper()
	_, primary, backup := h.members(name)
	require.NoError(h, unix.Kill(primary, unix.SIGSTOP)) // or it would start another backup
	h.kill(backup)
	h.kill(primary)
}

// lifeOfABank is what is true of every pair that HAM watches, however it came to know of it.
func lifeOfABank(h *host, restarts int) {
	h.Helper()
	e, primary, backup := h.members("bank")
	require.Equal(h, "primary", e.Pair.Members[0].Role)
	require.Equal(h, "backup", e.Pair.Members[1].Role)
	require.NotZero(h, e.Pair.Epoch)

	h.kill(primary) // the pair's own business
	h.until("the takeover is told", func() bool { return h.told("bank takeover") == 1 })
	e, now, _ := h.members("bank")
	require.Equal(h, backup, now)
	require.EqualValues(h, 1, e.Pair.Takeovers)
	_, _, backup = h.members("bank")
	h.kill(backup)
	h.members("bank")
	e = h.entity("bank")
	require.EqualValues(h, restarts, e.Restarts, "broken promise: HAM restarts pairs, not members")
	require.Zero(h, e.Deaths)

	instance := e.Pair.Instance
	h.killPair("bank")
	h.until("the pair has been restarted", func() bool { return h.told("bank restarted") == 1 })
	e, _, _ = h.members("bank")
	require.NotEqual(h, instance, e.Pair.Instance)
	require.EqualValues(h, 1, e.Deaths)
	require.EqualValues(h, restarts+1, e.Restarts, "broken promise: once")
	founded := h.lines("bank.founded")
	require.Len(h, founded, 2, "broken promise: one process founds the pair")
	require.Equal(h, founded[0], founded[1], "broken promise: with its arguments, its directory and its environment")
	c, err := receive.Dial(h.Context(), "bank", receive.RunDir(h.root))
	require.NoError(h, err, "broken promise: under the same name")
	require.NoError(h, c.Close())

	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	require.NoError(h, pair.Stop(ctx, h.root, "bank"))
	h.until("it is known to be stopped", func() bool { return h.entity("bank").Process.Phase == core.Stopped })
	h.until("its members have ended", func() bool {
		return !slices.ContainsFunc(e.Pair.Members, func(m core.PairMember) bool { return proc.ID{PID: m.PID, Start: m.Start}.Alive() })
	})
	h.kill(h.running("other").Process.PID)
	h.restarted("other", 1) // meanwhile a restart would have been
	require.Len(h, h.lines("bank.founded"), 2, "broken promise: a pair that was stopped on purpose stays away")
}

// other is a program by whose restart time is told.
const other = `
[[entity]]
name = "other"
command = ["sleep", "1000"]
` + restarts

func TestAPairThatRanBeforeHAMIsAdopted(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := prepare(t, other)
	h.startBank()
	h.until("it is founded", func() bool { return len(h.lines("bank.founded")) == 1 })
	h.begin()
	lifeOfABank(h, 0)
}

func TestAPairThatIsFoundedUnderHAMAttachesItself(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, other)
	h.running("other")
	h.startBank()
	lifeOfABank(h, 0)
}

func TestAPairThatIsDeclaredIsStartedAndRestarted(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, other+`
[[entity]]
name = "bank"
pair = "bank"
command = ["$SELF", "an argument"]
dir = "$DIR"
env = { DAEMON_TEST_ROLE = "bank", BANK_RUN = "$DIR/run", BANK_MOTTO = "nothing is lost" }
`+restarts)
	lifeOfABank(h, 0)
}

// All four processes die in one moment: HAM, its guardian, and both members of a pair.
func TestAPairIsRestartedByAHAMThatWasDeadWhenItDied(t *testing.T) {
	t.Parallel()
	defer takeTurn()()
	h := begin(t, other)
	h.running("other")
	h.startBank()
	_, primary, backup := h.members("bank")
	h.killBoth()
	require.NoError(t, unix.Kill(primary, unix.SIGSTOP))
	h.kill(backup)
	h.kill(primary)
	h.until("the pair has been restarted", func() bool { return h.told("bank restarted") == 1 })
	h.members("bank")
	require.EqualValues(t, 1, h.entity("bank").Restarts)
	require.Len(t, h.lines("bank.founded"), 2, fmt.Sprint(h.lines("bank.founded")))
}
