package pair_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

func TestAnAttendantIsToldHowItsMemberBecamePrimaryOnceEachTime(t *testing.T) {
	t.Parallel()
	p, dir := startPorter(t)
	c := p.Dial()
	want := []string{"promoted first=true planned=false"}
	require.Equal(t, want, must[[]string](t, c, "told", struct{}{}), "broken promise: the founder hears that it is the first")

	p.Kill(p.Primary())
	want = append(want, "promoted first=false planned=false")
	require.Equal(t, want, must[[]string](t, c, "told", struct{}{}), "broken promise: a takeover is told before anything is handled")
	require.Empty(t, linesOf(t, dir, "demoted"), "broken promise: who dies is not demoted")

	p.WaitProtected()
	require.NoError(t, p.Switch())
	want = append(want, "promoted first=false planned=true")
	require.Equal(t, want, must[[]string](t, c, "told", struct{}{}), "broken promise: a switch is told as planned")
	require.Equal(t, []string{"demoted"}, linesOf(t, dir, "demoted"))

	p.WaitProtected()
	p.Kill(p.Backup())
	p.WaitProtected()
	require.Equal(t, want, must[[]string](t, c, "told", struct{}{}), "broken promise: a new backup promotes nobody")
	require.Len(t, linesOf(t, dir, "fence"), 2*len(want), "broken promise: what a promotion plans is done once")
}

func TestWhatACallPlansIsDoneBeforeItsReplyAndOnlyIfItSucceeds(t *testing.T) {
	t.Parallel()
	p, dir := startPorter(t)
	c := p.Dial()
	var want []string
	for i := range 20 {
		o := Order{Line: fmt.Sprint("line ", i), Fail: i%3 == 1}
		_, err := receive.Call[struct{}](t.Context(), c, "order", o)
		if o.Fail {
			require.ErrorIs(t, err, errRefused)
		} else {
			require.NoError(t, err)
			want = append(want, o.Line+" 0", o.Line+" 1")
		}
		require.Equal(t, want, linesOf(t, dir, "done"), "broken promise: in order, before the reply, and nothing of a call that failed")
	}
	must[struct{}](t, c, "feed", []string{"refuse this"})
	must[struct{}](t, c, "feed", []string{"after it"})
	require.Eventually(t, func() bool {
		told := must[[]string](t, c, "told", struct{}{})
		return told[len(told)-1] == "after it"
	}, patience, time.Millisecond)
	require.NotContains(t, must[[]string](t, c, "told", struct{}{}), "refuse this", "broken promise: an input that fails has changed nothing")
	require.Equal(t, want, linesOf(t, dir, "done"), "broken promise: and nothing is done for it")
}

// A primary dies at each step of a call that plans two lines outside.
func TestWhatACallPlansIsDoneOnceOrNeverByAPrimaryThatDies(t *testing.T) {
	t.Parallel()
	for point, want := range map[pair.Point][]string{
		pair.PointHandled:  {"x 0", "x 1"}, // not in the log yet: the new primary runs the call, and all that it plans
		pair.PointAppended: nil,
		pair.PointEffects:  {"x 0"}, // the first is done, and nobody does it again
		pair.PointReplied:  {"x 0", "x 1"},
	} {
		t.Run(point.String(), func(t *testing.T) {
			t.Parallel()
			p, dir := startPorter(t)
			c := p.Dial()
			must[struct{}](t, c, "order", Order{Line: "before"})
			doomed := p.Primary()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "kill-"+point.String()), nil, 0o600))
			must[struct{}](t, c, "order", Order{Line: "x"})
			p.WaitDead(doomed)
			require.Equal(t, append([]string{"before 0", "before 1"}, want...), linesOf(t, dir, "done"))
			told := must[[]string](t, c, "told", struct{}{})
			require.Contains(t, told, "x", "broken promise: the state tells what was to be done")
		})
	}
}

func TestNothingIsDoneOutsideWhileAnOldPrimaryMayStillAct(t *testing.T) {
	t.Parallel()
	p, dir := startPorter(t)
	c := p.Dial()
	doomed := p.Primary()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "panic"), nil, 0o600))
	must[struct{}](t, c, "panic", struct{}{})
	p.WaitDead(doomed)
	var promoted, late, acted int
	for _, line := range linesOf(t, dir, "fence")[2:] { // behind those of the founder
		switch line {
		case "promoted":
			promoted++
		case "acted":
			acted++
		default:
			require.Zero(t, acted, "broken promise: effects wait until the old primary is known to be silent")
			late += promoted
		}
	}
	require.Equal(t, 1, promoted)
	require.Equal(t, 1, acted)
	require.NotZero(t, late, "the old primary lived on beside the new one")
}

func TestInputsAreHandledInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	p, _ := startPorter(t)
	c := p.Dial()
	var want []string
	for i := range 50 {
		var texts []string
		for k := range 40 {
			texts = append(texts, fmt.Sprint(i, " ", k))
		}
		want = append(want, texts...)
		must[struct{}](t, c, "feed", texts)
	}
	must[struct{}](t, c, "feed", []string{"then then last"}) // what is done after a call may lead to the next
	var told []string
	require.Eventually(t, func() bool {
		told = must[[]string](t, c, "told", struct{}{})
		return told[len(told)-1] == "last"
	}, patience, 5*time.Millisecond)
	require.Equal(t, append(want, "then then last", "then last", "last"), told[1:], "broken promise: one after the other")

	require.NoError(t, p.Switch())
	now := must[[]string](t, c, "told", struct{}{})
	require.Equal(t, told, now[:len(told)], "broken promise: the other member holds what the inputs have changed")
	must[struct{}](t, c, "feed", []string{"to the other"})
	require.Eventually(t, func() bool {
		now = must[[]string](t, c, "told", struct{}{})
		return now[len(now)-1] == "to the other"
	}, patience, time.Millisecond)
}

func TestTheEndOfAnOpenIsToldWithItsNumber(t *testing.T) {
	t.Parallel()
	p, _ := startPorter(t)
	stays := p.Dial()
	for range 3 {
		goes, err := receive.Dial(t.Context(), p.Name(), receive.RunDir(p.Dir()))
		require.NoError(t, err)
		who := must[Who](t, goes, "who", struct{}{})
		require.NoError(t, goes.Close())
		require.Eventually(t, func() bool { return must[int](t, stays, "closed", who.Opener) == 1 }, patience, time.Millisecond)
		p.Kill(p.Primary())
		p.WaitProtected()
		require.Equal(t, 1, must[int](t, stays, "closed", who.Opener), "broken promise: once")
	}
	me := must[Who](t, stays, "who", struct{}{})
	require.Zero(t, must[int](t, stays, "closed", me.Opener), "broken promise: an open that a takeover has interrupted has not ended")
}

func TestTheSenderIsKnownToEveryPrimary(t *testing.T) {
	t.Parallel()
	p, _ := startPorter(t)
	c := p.Dial()
	first := must[Who](t, c, "who", struct{}{})
	require.Equal(t, Who{first.Opener, uint32(os.Getuid()), os.Getpid()}, first)
	p.Kill(p.Primary())
	require.Equal(t, first, must[Who](t, c, "who", struct{}{}), "broken promise: it does not change in a takeover")
	p.WaitProtected()
	require.NoError(t, p.Switch())
	require.Equal(t, first, must[Who](t, c, "who", struct{}{}), "broken promise: nor in a switch")
}

func TestAnotherUserComesInAsARequesterOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can come as another user: run this test as root")
	}
	const nobody = 65534
	lobby, err := os.MkdirTemp("", "porter")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(lobby) })
	require.NoError(t, os.Chmod(lobby, 0o755))
	door := filepath.Join(lobby, "door")
	p, _ := startPorter(t, set(envDoor, door))

	as := func(role string) *raw {
		t.Helper()
		fd, err := dialAs(nobody, door)
		require.NoError(t, err, "broken promise: the door is open to all users")
		r := &raw{t: t, fd: fd, buf: make([]byte, wire.MaxPacket+1)}
		t.Cleanup(r.hangUp)
		body, err := wire.Marshal(&wire.Hello{Role: role, Name: p.Name(), Depth: 8, Window: 8})
		require.NoError(t, err)
		r.send(wire.Frame{Kind: wire.KindHello, Body: body})
		return r
	}
	r := as(wire.RoleRequester)
	f := r.next()
	require.Equal(t, wire.KindWelcome, f.Kind, "%s", f.Body)
	require.NoError(t, wire.Unmarshal(f.Body, &r.welcome))
	r.send(request(1, 1, "who", struct{}{}))
	var who Who
	decode(t, r.next().Body, &who)
	require.Equal(t, Who{r.welcome.Opener, nobody, os.Getpid()}, who, "broken promise: handlers know whose request it is")

	said := as(wire.RoleAdmin).closed()
	require.Len(t, said, 1)
	require.Equal(t, wire.KindRefuse, said[0].Kind, "broken promise: another user is no administrator of the pair")

	fd, err := dialAs(nobody, door)
	require.NoError(t, err)
	joiner := &raw{t: t, fd: fd, buf: make([]byte, wire.MaxPacket+1)}
	t.Cleanup(joiner.hangUp)
	body, err := wire.Marshal(&wire.Join{PID: os.Getpid()})
	require.NoError(t, err)
	joiner.send(wire.Frame{Kind: wire.KindJoin, Body: body})
	require.Empty(t, joiner.closed(), "broken promise: nor its backup")

	doomed := p.WaitProtected().Primary // the open goes on over a takeover, and so does who it belongs to
	p.Kill(doomed)
	r.send(request(2, 1, "who", struct{}{}))
	for f = r.next(); f.Kind != wire.KindReply; f = r.next() {
		if f.Kind == wire.KindNotice {
			r.send(request(2, 1, "who", struct{}{}))
		}
	}
	decode(t, f.Body, &who)
	require.EqualValues(t, nobody, who.UID, "broken promise: a takeover makes nobody somebody else")
	p.WaitProtected()
	fd, err = dialAs(nobody, door)
	require.NoError(t, err, "broken promise: the door is open after a takeover")
	_ = unix.Close(fd)
}

func TestAnAttendantNeedsThePrimaryToCompute(t *testing.T) {
	t.Parallel()
	for _, mode := range []pair.Mode{pair.BackupLazy, pair.BackupEager} {
		svc := pair.Config{Dir: t.TempDir(), Mode: mode}.New("porter")
		pair.Attend(svc, pair.Attendant{})
		require.ErrorContains(t, svc.Run(context.Background()), "expected PrimaryComputes", "mode %v", mode)

		svc = pair.Config{Dir: t.TempDir(), Mode: mode}.New("porter")
		pair.NewInput(svc, "feed", func(*pair.Call, int) error { return nil })
		require.ErrorContains(t, svc.Run(context.Background()), "expected PrimaryComputes", "mode %v", mode)
	}
}

func TestASecondAttendantIsAMistakeOfTheProgram(t *testing.T) {
	t.Parallel()
	svc := pair.New("porter")
	pair.Attend(svc, pair.Attendant{})
	require.Panics(t, func() { pair.Attend(svc, pair.Attendant{}) })
}
