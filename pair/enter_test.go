package pair_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

func TestANameThatCannotBeIsAnError(t *testing.T) {
	t.Parallel()
	err := pair.Config{Dir: t.TempDir()}.New("../etc").Run(t.Context())
	require.ErrorIs(t, err, registry.ErrBadName)
	require.ErrorContains(t, err, `cannot join "../etc"`)
}
