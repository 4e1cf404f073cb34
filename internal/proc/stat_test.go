package proc

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// statLine writes a line as the kernel does (do_task_stat in fs/proc/array.c).
func statLine(comm string, s stat) string {
	return fmt.Sprintf("%d (%s) %s 1 2 3 0 -1 %d 9 8 7 6 5 4 -3 -2 20 0 %d 0 %d 123456 77 18446744073709551615\n",
		s.pid, comm, []byte{s.state}, s.flags, s.threads, s.start)
}

func TestStatIsReadWhateverTheCommandIsCalled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := stat{
			pid:     rapid.IntRange(1, 1<<22).Draw(t, "pid"),
			state:   rapid.SampledFrom([]byte("RSDTtZXIP")).Draw(t, "state"),
			flags:   uint64(rapid.Uint32().Draw(t, "flags")),
			threads: rapid.IntRange(0, 1<<22).Draw(t, "threads"),
			start:   rapid.Uint64().Draw(t, "start"),
		}
		comm := rapid.OneOf(
			rapid.StringN(0, 16, 16),
			rapid.SampledFrom([]string{") R 1 (", "a b", "x)\ny (z", "((((", "))))", ""}),
		).Draw(t, "comm")
		got, err := parseStat([]byte(statLine(comm, want)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestStatCutShortIsRefused(t *testing.T) {
	t.Parallel()
	line := statLine("a) b", stat{pid: 1, state: 'R', threads: 1, start: 98765})
	end := strings.Index(line, " 123456")
	for i := range end {
		_, err := parseStat([]byte(line[:i+1]))
		if i+1 <= end {
			require.ErrorIs(t, err, errMalformedStat, "cut to %q", line[:i+1])
		}
	}
}

func TestThreadIsOverByFlagOrState(t *testing.T) {
	t.Parallel()
	for _, state := range "RSDTtI" {
		require.False(t, (&stat{state: byte(state)}).over(), "%c", state)
		require.True(t, (&stat{state: byte(state), flags: 0x400004}).over(), "%c, exiting", state)
	}
	for _, state := range "ZXx" {
		require.True(t, (&stat{state: byte(state)}).over(), "%c", state)
	}
}

func FuzzStat(f *testing.F) {
	if own, err := os.ReadFile("/proc/self/stat"); err == nil {
		f.Add(own)
	}
	f.Add([]byte(statLine("", stat{pid: 7, state: 'Z', flags: 4, threads: 2, start: 5})))
	f.Add([]byte("1 (a) R 1 2 3"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseStat(line)
		if err != nil {
			require.ErrorIs(t, err, errMalformedStat)
			return
		}
		again, err := parseStat([]byte(statLine("x", s)))
		require.NoError(t, err)
		require.Equal(t, s, again, "broken promise: what is read is what was written")
	})
}

func TestTheEndOfAProcessIsReadFromItsStatLine(t *testing.T) {
	t.Parallel()
	fields := func(last string) []byte {
		return []byte("7 (a) b) S" + strings.Repeat(" 0", 48) + " " + last + "\n")
	}
	require.Equal(t, unix.SIGKILL, endingSignal(fields("9")))
	require.Equal(t, unix.SIGSEGV, endingSignal(fields("139")), "with a core dump")
	require.Zero(t, endingSignal(fields("512")), "exit status 2")
	require.Zero(t, endingSignal(fields("0")))
	require.Zero(t, endingSignal(fields("9")[:60]), "a line that is cut says nothing")
	require.Zero(t, endingSignal(nil))
}
