package hands

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func TestOutputGoesToTheLogLineByLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	b.spawn(t, core.Spawn{Entity: "talker", Command: sh(`echo one; echo "two words" >&2; printf 'no end'`)})
	eventually(t, "output is not logged", func() bool { return len(b.log.lines("talker")) == 3 })
	require.Equal(t, []string{"one", "two words", "no end"}, b.log.lines("talker"))
}

func TestOutputIsAppendedToItsFile(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(out, []byte("before\n"), 0o600))
	c := sh("echo one; echo two >&2")
	c.Output.File = out
	b.exited(t, b.spawn(t, core.Spawn{Entity: "talker", Command: c}).PID)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "before\none\ntwo\n", string(text))
	require.Empty(t, b.log.lines("talker"))
}

func TestOutputCanBeDropped(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	c := sh("echo one")
	c.Output.Drop = true
	b.exited(t, b.spawn(t, core.Spawn{Entity: "talker", Command: c}).PID)
	require.Empty(t, b.log.String())
}

func TestAFileIsRenamedWhenItHasItsSizeAndNothingIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	out := filepath.Join(t.TempDir(), "out")
	c := sh("i=1000; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
	c.Output = core.Output{File: out, Size: 3000, Keep: 10}
	b.exited(t, b.spawn(t, core.Spawn{Entity: "talker", Command: c}).PID)
	all := ""
	eventually(t, "output is lost", func() bool { // 1000 lines of 10 bytes
		all = ""
		for i := 10; i >= 0; i-- {
			name := out
			if i > 0 {
				name = numbered(out, i)
			}
			text, _ := os.ReadFile(name)
			all += string(text)
		}
		return len(all) == 10000
	})
	for i := 1; i <= 3; i++ {
		text, err := os.ReadFile(numbered(out, i))
		require.NoError(t, err)
		require.Len(t, text, 3000, "file %d is not cut where a line ends", i)
	}
	for i, line := range strings.Split(strings.TrimSpace(all), "\n") {
		require.Equal(t, fmt.Sprintf("line %d", 1000+i), line)
	}
}

func TestFilesBeyondThoseKeptAreRemovedAndLinesStayWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "rotating")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		n := note{As: core.Owner{Admin: true}, Output: core.Output{File: filepath.Join(dir, "out"), Size: rapid.Int64Range(1, 50).Draw(rt, "size"), Keep: rapid.IntRange(0, 3).Draw(rt, "keep")}}
		r, err := newRotating(slog.New(slog.NewTextHandler(io.Discard, nil)), n)
		require.NoError(t, err)
		text := ""
		for i := range 40 {
			text += fmt.Sprintf("%d%s\n", i, strings.Repeat("x", rapid.IntRange(0, 9).Draw(rt, "length")))
		}
		for rest := text; rest != ""; {
			n := min(len(rest), rapid.IntRange(1, 100).Draw(rt, "n"))
			r.write([]byte(rest[:n]))
			rest = rest[n:]
		}
		r.end()
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.LessOrEqual(t, len(files), 1+max(n.Output.Keep, 1))
		kept := ""
		for i := len(files) - 1; i >= 0; i-- {
			name := n.Output.File
			if i > 0 {
				name = numbered(name, i)
			}
			part, err := os.ReadFile(name)
			require.NoError(t, err)
			require.LessOrEqual(t, int64(len(part)), n.Output.Size+12, "a file is longer than its size and one line")
			require.True(t, strings.HasSuffix(string(part), "\n"), "%q is cut within a line", part)
			kept += string(part)
		}
		require.True(t, strings.HasSuffix(text, kept), "what is kept is not the end of what was written")
	})
}

func TestAProgramWithoutAReaderOfItsOutputSeesNoBrokenPipe(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), newGate(t)
	b := newBench(t, Config{Dir: dir})
	id := b.spawn(t, core.Spawn{Entity: "talker", Command: sh("read x < " + g.path + "; echo said || exit 9; exit 3")})
	b.Close()
	g.say(t, "nobody reads now")
	pidfd, err := unix.PidfdOpen(id.PID, 0)
	if err == nil {
		waitGone(t, pidfd)
		unix.Close(pidfd)
	}
	eventually(t, "a child of closed hands is not reaped", func() bool { _, alive := readStat(id.PID); return !alive })
}

func TestAPipeFullOfOutputIsReadOnByTheNextHAM(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), newGate(t)
	first := newBench(t, Config{Dir: dir})
	first.spawn(t, core.Spawn{Entity: "talker", Command: sh("read x < " + g.path + "; i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done")})
	first.Close()
	g.say(t, "more than a pipe holds")
	second := newBench(t, Config{Dir: dir})
	eventually(t, "the end does not come", func() bool { return strings.HasSuffix(second.log.String(), "line=19999\n") })
	for i, line := range second.log.lines("talker") {
		require.Equal(t, fmt.Sprint(i), line)
	}
}
