package world

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatDoesNotFitSaysHowMuchItNeeds(t *testing.T) {
	t.Parallel()
	require.Equal(t, "not run: needs 4.5 GiB, has 2.0 GiB", noRoom(4608, 2048))
	require.Empty(t, noRoom(2048, 2048))
	require.Positive(t, available(), "the kernel tells how much memory is available")
}

func TestProgressIsToldNowAndThen(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	tell := Progress(&b)
	for i := range 100 {
		tell(i, 100, "a cell")
	}
	require.Equal(t, 1, strings.Count(b.String(), "\n"), "broken promise: a fast run does not flood the terminal")
	require.Contains(t, b.String(), "0 of 100  a cell")
}
