package pair_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// The porter is a service with an attendant. What it does outside is to add lines to a file. envPorter names its directory.
const envPorter = "PORTER"

// Order asks the porter for a line outside.
type Order struct {
	Line string `msgpack:"l"`
	Fail bool   `msgpack:"f"` // refuse the call after that was planned
}

// Who is a requester as the porter sees it.
type Who struct {
	Opener uint64 `msgpack:"o"`
	UID    uint32 `msgpack:"u"`
	PID    int    `msgpack:"p"`
}

// porterFile is the path of a file of the porter's.
func porterFile(name string) string { return filepath.Join(os.Getenv(envPorter), name) }

// outside adds a line to a file. Lines of two processes do not mix.
func outside(name, line string) {
	f, err := os.OpenFile(porterFile(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	_, _ = f.WriteString(line + "\n")
}

func porter(cfg pair.Config) *pair.Service {
	cfg.AtPoint = dieIfTold
	svc := cfg.New("porter")
	told := pair.Queue[string](svc, "told")
	closed := pair.Map[uint64, int](svc, "closed")
	var feed *pair.Input[string]
	feed = pair.NewInput(svc, "feed", func(c *pair.Call, text string) error {
		told.Push(text)
		if strings.HasPrefix(text, "refuse") {
			c.After(func() { outside("done", text) })
			return errRefused
		}
		if n, ok := strings.CutPrefix(text, "then "); ok {
			c.After(func() { feed.Post(n) })
		}
		return nil
	})
	pair.Attend(svc, pair.Attendant{
		Promoted: func(c *pair.Call, how pair.Promotion) error {
			told.Push(fmt.Sprintf("promoted first=%t planned=%t", how.First, how.Planned))
			outside("fence", "promoted")
			c.After(func() { outside("fence", "acted") })
			return nil
		},
		Demoted: func() { outside("demoted", "demoted") },
		Closed: func(c *pair.Call) error {
			closed.Set(c.Opener(), closed.Get(c.Opener())+1)
			return nil
		},
	})
	pair.Handle(svc, "order", func(c *pair.Call, o Order) (struct{}, error) {
		told.Push(o.Line)
		for i := range 2 {
			c.After(func() { outside("done", fmt.Sprint(o.Line, " ", i)) })
		}
		if o.Fail {
			return struct{}{}, errRefused
		}
		return struct{}{}, nil
	})
	pair.Handle(svc, "feed", func(_ *pair.Call, texts []string) (struct{}, error) {
		for _, text := range texts {
			feed.Post(text)
		}
		return struct{}{}, nil
	})
	pair.Handle(svc, "told", func(*pair.Call, struct{}) (all []string, _ error) {
		for text := range told.All() {
			all = append(all, text)
		}
		return all, nil
	})
	pair.Handle(svc, "closed", func(_ *pair.Call, opener uint64) (int, error) { return closed.Get(opener), nil })
	pair.Handle(svc, "who", func(c *pair.Call, _ struct{}) (Who, error) {
		uid, pid := c.Sender()
		return Who{c.Opener(), uid, pid}, nil
	})
	pair.Handle(svc, "panic", func(*pair.Call, struct{}) (struct{}, error) {
		if os.Remove(porterFile("panic")) == nil {
			panicSlowly()
		}
		return struct{}{}, nil
	})
	if door := os.Getenv(envDoor); door != "" {
		pair.Admit(svc, door)
	}
	return svc
}

// envDoor is where the porter admits processes of other users.
const envDoor = "PORTER_DOOR"

// dieIfTold kills this process at a point that there is a file for: the first passage that finds it.
func dieIfTold(p pair.Point) {
	if os.Remove(porterFile("kill-"+p.String())) == nil {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
}

// panicSlowly panics in a process that cannot print why: nobody reads its standard error. So it lives on for a while after its
// death was announced, and acts.
func panicSlowly() {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return
	}
	for b := make([]byte, 4096); ; {
		if _, err := unix.Write(p[1], b); err != nil {
			break
		}
	}
	_ = unix.SetNonblock(p[1], false)
	_ = unix.Dup3(p[1], 2, 0)
	go func() {
		for ; ; time.Sleep(time.Millisecond) {
			outside("fence", "the old primary lives")
		}
	}()
	panic("slowly")
}

// startPorter starts the pair and returns the directory where it works.
func startPorter(t *testing.T, env ...string) (*pairtest.Pair, string) {
	dir := t.TempDir()
	return start(t, "porter", append(env, set(envPorter, dir))...), dir
}

func linesOf(t *testing.T, dir, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

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
