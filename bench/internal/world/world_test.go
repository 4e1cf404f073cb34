package world

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

func TestTheWorldTellsHowAClientEnded(t *testing.T) {
	w, err := New(&figures.Options{})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, w.Close(nil))
		require.NoDirExists(t, w.Base)
		require.Empty(t, w.exits)
	}()
	for range 20 { // the world reaps all children, and so does not leave this to chance
		e, err := w.Execute(t.Context(), "sh", "-c", "echo out; echo 'what went wrong' >&2; exit 3")
		require.NoError(t, err)
		require.Equal(t, "out\n", string(e.Stdout))
		require.Equal(t, []string{"what went wrong", "exit status 3"}, e.Trouble())
	}
	e, err := w.Execute(t.Context(), "sh", "-c", "kill -9 $$")
	require.NoError(t, err)
	require.Equal(t, []string{"killed by killed"}, e.Trouble())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Execute(ctx, "sleep", "1000")
	require.ErrorIs(t, err, context.Canceled, "broken promise: what runs ends with the run")
}
