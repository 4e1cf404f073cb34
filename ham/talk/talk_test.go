package talk_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
)

func TestARefusalArrivesAsTheErrorItWas(t *testing.T) {
	t.Parallel()
	for _, sentinel := range []error{core.ErrBadName, core.ErrNameTooLong, core.ErrBadSpec, core.ErrNotFound, core.ErrStale, core.ErrExists, core.ErrNotPermitted,
		core.ErrRunning, core.ErrNotRunning, core.ErrOnlyRestart, core.ErrCycle, core.ErrStopping} {
		a := talk.Refusal(fmt.Errorf("entity %q: %w", "cache", sentinel))
		require.ErrorIs(t, a.Err(), sentinel)
		require.EqualError(t, a.Err(), `entity "cache": `+sentinel.Error())
	}
}

func TestAnUnknownRefusalIsStillOne(t *testing.T) {
	t.Parallel()
	a := talk.Refusal(errors.New("else"))
	require.EqualError(t, a.Err(), "else")
	require.Error(t, (&talk.Answer{Code: 1000, Text: "of a later version"}).Err())
	require.NoError(t, (&talk.Answer{}).Err())
}
