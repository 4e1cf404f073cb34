package filestate_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/filestate"
)

// The tests T2 to T5 of nonstop.md §12.4, on a real file and with a primary that is really killed.

func line(i int) []byte { return fmt.Appendf(nil, "line %d\n", i) }

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		b.Write(line(i))
	}
	return b.String()
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// writeOrder is for the role "write": open the file, make one checkpoint, append so many lines, and wait.
type writeOrder struct {
	Path          string
	Depth, Writes int
}

func playWriter(b *backup) error {
	var order writeOrder
	if _, err := b.receive(&order); err != nil {
		return err
	}
	f, err := filestate.OpenFile(order.Path, os.O_CREATE, order.Depth)
	if err != nil {
		return err
	}
	if err := b.checkpoint(f.State(), f.FDs()...); err != nil {
		return err
	}
	for i := range order.Writes {
		if _, err := f.Append(line(i)); err != nil {
			return err
		}
		if err := f.Do(); err != nil {
			return err
		}
	}
	if err := b.checkpoint(order); err != nil { // what it says does not matter
		return err
	}
	_, err = b.receive(&order)
	return err
}

// killedAfter starts a primary with one checkpoint, and kills it when it has appended so many lines since. It returns
// the file as the backup has it.
func killedAfter(t *testing.T, depth, writes int) *filestate.File {
	t.Helper()
	p := startPrimary(t, "write")
	require.NoError(t, p.checkpoint(writeOrder{filepath.Join(t.TempDir(), "file"), depth, writes}))
	var st filestate.FileState
	fds, err := p.receive(&st)
	require.NoError(t, err)
	f, err := filestate.BackupOpenFile(st, fds...) // while the primary lives
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	_, err = p.receive(&writeOrder{})
	require.NoError(t, err)
	p.kill()
	require.NoError(t, f.SetState(st))
	require.NoError(t, f.Do())
	return f
}

func appendLine(t *testing.T, f *filestate.File, i int) {
	t.Helper()
	off, err := f.Append(line(i))
	require.NoError(t, err)
	require.NoError(t, f.Do())
	got := make([]byte, len(line(i)))
	_, err = f.ReadAt(got, off)
	require.NoError(t, err)
	require.Equal(t, line(i), got, "a repeated append tells where the first one was")
}

func TestT2AnAppendAfterTheLastCheckpointIsDoneTwiceAtDepth0AndOnceAtDepth1(t *testing.T) {
	t.Parallel()
	for depth, want := range []string{lines(1) + lines(1), lines(1)} {
		f := killedAfter(t, depth, 1)
		appendLine(t, f, 0)
		require.Equal(t, want, content(t, f.Path()), "depth %d", depth)
		appendLine(t, f, 1)
		require.Equal(t, want+string(line(1)), content(t, f.Path()), "depth %d", depth)
	}
}

func TestT3AtDepth3ThreeRepeatedWritesAreDoneOnceHoweverManyWereDoneBefore(t *testing.T) {
	t.Parallel()
	for done := range 4 {
		f := killedAfter(t, 3, done)
		for i := range 3 {
			appendLine(t, f, i)
		}
		require.Equal(t, lines(3), content(t, f.Path()), "%d were done before", done)
	}
}

func TestT4AtDepth3TheFirstOfFourRepeatedWritesIsTooOldAndNotDoneAgain(t *testing.T) {
	t.Parallel()
	f := killedAfter(t, 3, 4)
	_, err := f.Append(line(0))
	require.ErrorIs(t, err, filestate.ErrTooOld)
	require.NoError(t, f.Do())
	require.Equal(t, lines(4), content(t, f.Path()))
}

func TestT5WritesRepeatedInAnotherOrderAreDoneOnceUnderTheirOldIDsAndTwiceWithout(t *testing.T) {
	t.Parallel()
	f := killedAfter(t, 3, 3)
	for _, i := range []int{2, 0, 1} {
		f.Repeat(uint64(i + 1))
		appendLine(t, f, i)
	}
	require.EqualValues(t, 3, f.SyncID())
	require.Equal(t, lines(3), content(t, f.Path()))
	appendLine(t, f, 3)
	require.Equal(t, lines(4), content(t, f.Path()))

	f = killedAfter(t, 3, 3)
	st := f.State()
	st.ID = 3 // what was numbered is forgotten, so the next are new
	require.NoError(t, f.SetState(st))
	for i := range 3 {
		appendLine(t, f, i)
	}
	require.Equal(t, lines(3)+lines(3), content(t, f.Path()))
}

func TestARepetitionThatIsAnotherOperationIsRefused(t *testing.T) {
	t.Parallel()
	f := killedAfter(t, 1, 1)
	require.ErrorIs(t, f.Truncate(0), filestate.ErrDifferent)
	require.Equal(t, lines(1), content(t, f.Path()))
}

// An error of a plan is a result too: who repeats the operation gets it again, though it would succeed by now.
func TestAnErrorIsAnsweredFromTheStoreToo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	f, err := filestate.OpenFile(path, os.O_CREATE, 2)
	require.NoError(t, err)
	defer f.Close()
	st := f.State()
	elsewhere := filepath.Join(filepath.Dir(path), "there", "file")
	require.ErrorIs(t, f.Rename(elsewhere), unix.ENOENT)
	_, err = f.Append(line(0))
	require.NoError(t, err)
	require.NoError(t, f.Do())

	require.NoError(t, os.Mkdir(filepath.Dir(elsewhere), 0o700))
	require.NoError(t, f.SetState(st))
	require.ErrorIs(t, f.Rename(elsewhere), unix.ENOENT)
	appendLine(t, f, 0)
	require.Equal(t, lines(1), content(t, path))
}

// logPoint is a checkpoint of the role "log": the file, and the line to go on with.
type logPoint struct {
	File filestate.FileState
	Next int
}

// playLog appends lines until it is killed. With sync depth 0 every line is in the checkpoint before it is written; else the
// checkpoint comes first, and one killed behind it repeats up to depth lines.
func playLog(b *backup) error {
	var at logPoint
	fds, err := b.receive(&at)
	if err != nil {
		return err
	}
	f, err := filestate.BackupOpenFile(at.File, fds...)
	if err != nil {
		return err
	}
	if err := f.SetState(at.File); err != nil {
		return err
	}
	for err = f.Do(); err == nil; err = f.Do() {
		at.File = f.State()
		if at.File.Depth == 0 || at.Next%at.File.Depth == 0 {
			if err := b.checkpoint(at); err != nil {
				return err
			}
		}
		if _, err := f.Append(line(at.Next)); err != nil {
			return err
		}
		at.Next++
		if at.File.Depth == 0 {
			at.File = f.State()
			if err := b.checkpoint(at); err != nil {
				return err
			}
		}
	}
	return err
}

func TestALogUnderKillsHasEveryLineOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{0, 1, 3} {
		t.Run(fmt.Sprint("depth ", depth), func(t *testing.T) {
			t.Parallel()
			first, err := filestate.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE, depth)
			require.NoError(t, err)
			defer first.Close() // it holds what survives
			last := logPoint{File: first.State()}
			pause := rapid.IntRange(1, 60)
			for seed := range 8 {
				p := startPrimary(t, "log")
				require.NoError(t, p.checkpoint(last, first.FDs()...))
				for range pause.Example(seed) {
					_, err := p.receive(&last)
					require.NoError(t, err)
				}
				p.kill()
				for err == nil { // what it has checkpointed before
					_, err = p.receive(&last)
				}
				require.ErrorIs(t, err, io.EOF)
				err = nil
			}
			got := content(t, first.Path())
			n := strings.Count(got, "\n")
			require.Equal(t, lines(n), got)
			require.GreaterOrEqual(t, n, last.Next-1)
		})
	}
}
