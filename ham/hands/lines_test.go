package hands

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLinesAreTheSameHoweverTheStreamIsCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\n\n ")), 0, 200).Draw(t, "text")
		var l lines
		var got []string
		each := func(line []byte) { got = append(got, string(line)) }
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			l.feed(rest[:n], each)
			rest = rest[n:]
		}
		l.end(each)
		want := strings.Split(string(text), "\n")
		if want[len(want)-1] == "" { // the text ends with its last line, or is empty
			want = want[:len(want)-1]
		}
		require.Equal(t, len(want), len(got), "%q: %q", text, got)
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
	})
}

func TestALineWithoutEndIsToldInPieces(t *testing.T) {
	t.Parallel()
	var l lines
	var got []int
	each := func(line []byte) { got = append(got, len(line)) }
	endless := bytes.Repeat([]byte{'x'}, 1000)
	for range 20 {
		l.feed(endless, each)
		require.Less(t, len(l.begun), maxLine)
	}
	l.feed([]byte("\nshort\r\n"), each)
	require.Equal(t, []int{maxLine, maxLine, 20000 - 2*maxLine, 5}, got)
	require.Empty(t, l.begun)
}
