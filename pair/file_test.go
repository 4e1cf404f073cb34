package pair_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

func TestAJournalUnderKillsHasEveryAcknowledgedLineOnceAndInOrder(t *testing.T) {
	t.Parallel()
	p, path := startJournal(t, t.TempDir())
	w := startWriters(t, p, 6)
	for range 4 * *long {
		w.await(300)
		p.Kill(p.Primary())
		p.WaitProtected()
	}
	w.await(300)
	w.finish(path)
}

func TestAJournalWhosePrimaryDiesBetweenRecordAndReplyIsFinishedByTheOther(t *testing.T) {
	t.Parallel()
	for _, point := range []pair.Point{pair.PointHandled, pair.PointAppended, pair.PointEffects, pair.PointReplied} {
		t.Run(point.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "hits")
			p, path := startJournal(t, dir, set(envPoint, int(point)), set(envHits, file))
			w := startWriters(t, p, 4)
			for _, hits := range []string{"1", "7"} {
				doomed := p.Primary()
				require.NoError(t, os.WriteFile(file, []byte(hits), 0o600))
				w.await(20)
				p.Signal(doomed, unix.SIGUSR1)
				p.WaitDead(doomed)
				p.WaitProtected()
			}
			w.await(20)
			w.finish(path)
		})
	}
}

// The primary dies with a line in its record and not in the file, which is moved away then: the backup has it open, and
// finishes it where it is.
func TestAFileMovedAwayIsFinishedNevertheless(t *testing.T) {
	t.Parallel()
	p, path := startJournal(t, t.TempDir())
	c := p.Dial()
	jot(t, c, "one")
	require.NoError(t, os.WriteFile(path+moveMark, nil, 0o600))
	jot(t, c, "two")
	p.WaitStatus("a takeover", func(s pairtest.Status) bool { return s.Takeovers == 1 })
	requireFile(t, path+".old", "one\ntwo\n", "the line was answered")
	_, err := receive.Call[int64](t.Context(), c, "jot", Jot{Lines: []string{"three"}})
	require.ErrorIs(t, err, errReplaced)
}

func TestADiskThatFailsAfterTheCommitEndsTheMemberAndTheOtherOneWrites(t *testing.T) {
	t.Parallel()
	p, path := startJournal(t, t.TempDir())
	c := p.Dial()
	jot(t, c, "one")
	require.NoError(t, os.WriteFile(path+failMark, nil, 0o600))
	doomed := p.Primary()
	jot(t, c, "two")
	requireFile(t, path, "one\ntwo\n", "the line was answered")
	p.WaitDead(doomed)
	p.WaitLog("cannot write " + path)
}

func TestChangesOfEveryKindSurviveTheDeathOfThePrimary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, path := startJournal(t, dir)
	c := p.Dial()
	again := func(want, at string) {
		t.Helper()
		requireFile(t, at, want, "after the reply")
		require.Equal(t, want, must[string](t, c, "read", struct{}{}))
		p.Kill(p.Primary())
		require.Equal(t, want, must[string](t, c, "read", struct{}{}), "after a takeover")
		requireFile(t, at, want, "after a takeover")
		p.WaitProtected()
	}
	jot(t, c, "one", "two", "three")
	again("one\ntwo\nthree\n", path)
	must[struct{}](t, c, "rewrite", "new\n")
	again("new\n", path)
	must[struct{}](t, c, "rotate", path+".1")
	again("new\n", path+".1")
	jot(t, c, "more")
	again("new\nmore\n", path+".1")

	require.NoError(t, pair.Switch(t.Context(), p.Dir(), p.Name()))
	jot(t, c, "switched")
	again("new\nmore\nswitched\n", path+".1")
}

func TestACallThatFailsLeavesNothingInTheFile(t *testing.T) {
	t.Parallel()
	p, path := startJournal(t, t.TempDir())
	c := p.Dial()
	jot(t, c, "one")
	_, err := receive.Call[int64](t.Context(), c, "jot", Jot{Lines: []string{"no", "no"}, Refuse: true})
	require.ErrorIs(t, err, errRefused)
	jot(t, c, "two")
	requireFile(t, path, "one\ntwo\n", "without what was refused")
	require.EqualValues(t, 2, must[int64](t, c, "count", struct{}{}))
}

func TestAFullDiskFailsTheRequestAndNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs the right to mount a tmpfs (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	p, path := startJournal(t, dir)
	c := p.Dial()
	want, n := "", int64(0)
	for {
		line := strings.Repeat("x", 500)
		_, err := receive.Call[int64](t.Context(), c, "jot", Jot{Lines: []string{line, line, line}})
		if err != nil {
			require.ErrorIs(t, err, errNoSpace)
			break
		}
		want, n = want+strings.Repeat(line+"\n", 3), n+3
	}
	require.Greater(t, n, int64(100))
	requireFile(t, path, want, "whole calls only")
	p.Kill(p.Primary())
	require.Equal(t, n, must[int64](t, c, "count", struct{}{}), "the state has what the file has")
	requireFile(t, path, want, "whole calls only, after a takeover")
	must[struct{}](t, c, "rewrite", "room\n")
	jot(t, c, "again")
	requireFile(t, path, "room\nagain\n", "there is room again")
}

func TestAFileReplacedBehindOurBackIsReportedUntilItIsReopened(t *testing.T) {
	t.Parallel()
	p, path := startJournal(t, t.TempDir())
	c := p.Dial()
	jot(t, c, "one")
	require.NoError(t, os.Rename(path, path+".old"))
	require.NoError(t, os.WriteFile(path, []byte("theirs\n"), 0o600))
	refused := func() {
		t.Helper()
		_, err := receive.Call[int64](t.Context(), c, "jot", Jot{Lines: []string{"two"}})
		require.ErrorIs(t, err, errReplaced)
	}
	refused()
	p.Kill(p.Primary())
	refused()
	p.WaitProtected() // with a backup that never had the old file
	p.Kill(p.Primary())
	refused()
	p.WaitProtected()
	must[struct{}](t, c, "reopen", "two")
	jot(t, c, "three")
	requireFile(t, path, "theirs\ntwo\nthree\n", "the new file goes on")
	requireFile(t, path+".old", "one\n", "the old file is left alone")
	p.Kill(p.Primary())
	jot(t, c, "four")
	requireFile(t, path, "theirs\ntwo\nthree\nfour\n", "after a takeover")
	require.EqualValues(t, 3, must[int64](t, c, "count", struct{}{}))

	require.NoError(t, os.Truncate(path, 3))
	refused()
	requireFile(t, path, "the", "a file that was cut is not written")
}

func TestACallThatIsTooLargeForItsRecordLeavesNothingInTheFile(t *testing.T) {
	t.Parallel()
	p, path := startJournal(t, t.TempDir())
	c := p.Dial()
	jot(t, c, "one")
	var lines []string
	for range 3 {
		lines = append(lines, strings.Repeat("x", 30<<10)) // together with what is said of them, more than a quarter of the log
	}
	for range 3 {
		_, err := receive.Call[int64](t.Context(), c, "jot", Jot{Lines: lines, Copies: 4})
		require.ErrorIs(t, err, receive.ErrTooLarge)
	}
	jot(t, c, "two")
	requireFile(t, path, "one\ntwo\n", "without what was too large")
}

func TestAFileNeedsThePrimaryToCompute(t *testing.T) {
	t.Parallel()
	for _, mode := range []pair.Mode{pair.BackupLazy, pair.BackupEager} {
		svc := pair.Config{Mode: mode, Dir: filepath.Join(t.TempDir(), "run")}.New("journal")
		pair.NewFile(svc, "journal", "journal")
		require.ErrorContains(t, svc.Run(t.Context()), "expected PrimaryComputes")
	}
}
