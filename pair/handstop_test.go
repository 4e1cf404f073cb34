package pair_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

func TestAHandWrittenPairThatStopsItselfIsStoppedAndTheNextIsANewInstance(t *testing.T) {
	t.Parallel()
	cfg := pair.Config{Dir: filepath.Join(t.TempDir(), "run"), NoSpawn: true}
	first, err := cfg.Join(t.Context(), "stops")
	require.NoError(t, err)
	require.Equal(t, pair.Primary, first.Role())
	instance := first.Instance()
	require.NoError(t, first.Stop())
	require.Equal(t, pair.Gone, first.Role())
	_, err = first.Inbox().Read(t.Context())
	require.ErrorIs(t, err, pair.ErrLeft)
	require.ErrorIs(t, first.Checkpoint(), pair.ErrNotPrimary)
	page, err := registry.Read(cfg.Dir, "stops")
	require.NoError(t, err)
	require.True(t, page.Stopped, "broken promise: whoever looks sees that the pair was stopped")

	second, err := cfg.Join(t.Context(), "stops")
	require.NoError(t, err, "broken promise: a stopped pair leaves its name")
	require.NotEqual(t, instance, second.Instance())
	require.NoError(t, second.Stop())
}
