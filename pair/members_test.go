package pair_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

func TestAThirdMemberIsRefused(t *testing.T) {
	t.Parallel()
	takeTurn(t)
	p := pairtest.StartAlone(t, "ledger", pairtest.Env(set(envAlone, 1)))
	second := p.Launch()
	s := p.WaitProtected()
	require.Equal(t, second.PID(), s.Backup.PID)
	third := p.Launch()
	require.Equal(t, 1, third.Wait())
	p.WaitLog(pair.ErrThirdMember.Error())
	require.NotContains(t, p.Log(), "(error 256)", "a refusal has a name")
	require.Equal(t, s, p.WaitProtected(), "the pair goes on as it was")
	c := p.Dial()
	_, err := enter(t, c, Entry{Client: 1})
	require.NoError(t, err)
	p.Kill(s.Primary) // and it is still a pair
	_, err = enter(t, c, Entry{Client: 1, N: 1})
	require.NoError(t, err)
}

func TestAProcessStartedByHandTakesThePlaceOfASpawnedBackup(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	l := newLoad(t, p, 2).run(2)
	s := p.WaitProtected()
	byHand := p.Launch()
	p.WaitStatus("the process started by hand to be the backup", func(s pairtest.Status) bool {
		return s.Protected && s.Backup.PID == byHand.PID()
	})
	p.WaitDead(s.Backup)
	l.await(10)
	p.Kill(s.Primary)
	l.await(10)
	require.Equal(t, byHand.PID(), p.WaitProtected().Primary.PID)
	l.finish()
	l.unbroken()
}

func TestAStaleDirectoryIsUsedAgain(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	s := p.WaitProtected()
	p.Freeze(s.Backup)
	p.Kill(s.Primary)
	p.Kill(s.Backup)
	_, err := os.Lstat(filepath.Join(p.Dir(), "ledger", "socket"))
	require.NoError(t, err, "the socket of the dead is still there")
	require.ErrorIs(t, p.Switch(), pair.ErrNotRunning)

	p.Launch()
	require.NotEqual(t, s.Instance, p.WaitProtected().Instance)
	_, err = enter(t, p.Dial(), Entry{Client: 1})
	require.NoError(t, err)
}

// The page of a pair that is gone names pids that belong to others by now. They are left alone.
func TestARecycledPidInAStalePageIsNobodysConcern(t *testing.T) {
	t.Parallel()
	takeTurn(t)
	p := pairtest.New(t, "ledger")
	self, err := proc.Self()
	require.NoError(t, err)
	dir, err := registry.Open(p.Dir(), "ledger")
	require.NoError(t, err)
	defer dir.Close()
	recycled := registry.Member{PID: self.PID, Start: self.Start - 1, Synchronised: true}
	require.NoError(t, dir.Publish(registry.Page{Instance: "gone", Epoch: 9, Primary: &recycled, Backup: &recycled}))
	require.False(t, p.Status().Primary.Alive(), "broken promise: a start time tells a recycled pid")

	p.Launch()
	s := p.WaitProtected()
	require.NotEqual(t, "gone", s.Instance)
	require.EqualValues(t, 1, s.Epoch)
}

// The directory of a running pair is removed. The pair lives on with those who know it: takeovers and new backups need no
// directory.
func TestAPairOutlivesItsRunDirectory(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	l := newLoad(t, p, 2).run(2)
	s := p.WaitProtected()
	l.await(10)
	require.NoError(t, os.RemoveAll(p.Dir()))
	l.await(10)
	p.Kill(s.Primary)
	l.await(10)
	p.WaitLog(`msg="this member is the primary now"`)
	p.WaitLogs(`msg="the pair is protected"`, 2)
	require.ErrorIs(t, p.Switch(), pair.ErrNotRunning)

	other := p.Launch() // another pair, for nobody can know of the first
	p.WaitStatus("another pair", func(s pairtest.Status) bool { return s.Protected && s.Primary.PID == other.PID() })
	l.finish()
	l.unbroken()
	p.Signal(s.Backup, unix.SIGTERM) // the first pair stops, and leaves the other's socket alone
	p.WaitDead(s.Backup)
	_, err := enter(t, p.Dial(), Entry{Client: 1})
	require.NoError(t, err)
}

// A primary without descriptors takes no new requesters, and goes on with those it has.
func TestWithoutDescriptorsThePairGoesOn(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envFiles, 64))
	l := newLoad(t, p, 2).run(2)
	l.await(10)
	var crowd []*raw
	for range 80 {
		crowd = append(crowd, connectRaw(t, p))
	}
	p.WaitLog("cannot accept a connection")
	l.await(50)
	for _, r := range crowd { // more than one member can hold
		r.hangUp()
	}
	c := p.Dial() // now there is room
	_, err := enter(t, c, Entry{Client: 9})
	require.NoError(t, err)
	p.Kill(p.WaitProtected().Primary)
	l.await(50)
	_, err = enter(t, c, Entry{Client: 9, N: 1})
	require.NoError(t, err)
	l.finish()
}

// T16: a backup that is alive and takes nothing. The log runs full; the backup is given up, another one is started, and no
// request is lost.
func TestT16ABackupThatTakesNothingIsReplaced(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envLog, 64<<10), set(envHang, "250ms"))
	l := newLoad(t, p, 2).run(2)
	for range 3 {
		s := p.WaitProtected()
		p.Freeze(s.Backup)
		p.WaitDead(s.Backup)
		l.await(10)
		now := p.WaitProtected()
		require.Equal(t, s.Primary, now.Primary, "the primary goes on")
		require.NotEqual(t, s.Backup, now.Backup)
	}
	require.Zero(t, p.Status().Takeovers)
	l.finish()
	l.unbroken()
}

// A join that is not meant, or is a lie, is refused with its reason, and the pair goes on.
func TestAJoinThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger")
	self, err := proc.Self()
	require.NoError(t, err)
	join := wire.Join{Version: 1, PID: self.PID, Start: self.Start}
	for _, bad := range []struct {
		lie  func(*wire.Join)
		want string
	}{
		{func(j *wire.Join) { j.Version = 99 }, pair.ErrVersion.Error()},
		{func(j *wire.Join) { j.Instance = "another" }, pair.ErrWrongInstance.Error()},
		{func(j *wire.Join) { j.PID = 1 }, "says that it is 1"},
		{func(j *wire.Join) { j.Spawned = true }, pair.ErrThirdMember.Error()},
	} {
		j := join
		bad.lie(&j)
		body, err := wire.Marshal(&j)
		require.NoError(t, err)
		r := connectRaw(t, p)
		r.send(wire.Frame{Kind: wire.KindJoin, Body: body})
		said := r.closed()
		require.Len(t, said, 1)
		require.Equal(t, wire.KindRefuse, said[0].Kind)
		require.NotZero(t, said[0].Code())
		require.Contains(t, string(said[0].Body), bad.want)
	}
	p.WaitProtected()
	_, err = enter(t, p.Dial(), Entry{Client: 1})
	require.NoError(t, err)
}
