package handover

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoRoundWaitsForRoomWhileItIsTimed(t *testing.T) {
	t.Parallel()
	for _, s := range LongPlan().Sizes {
		require.Zero(t, largest%s.Bytes, "payloads of %d bytes would wrap in the plain ring", s.Bytes)
		require.LessOrEqual(t, s.Batch*(s.Bytes+64), ringSize/4, "a round of %d bytes does not fit the log", s.Bytes)
		require.LessOrEqual(t, s.Writes*s.Bytes, 64<<10, "a round of %d bytes fills a socket's buffer", s.Bytes)
	}
	require.Less(t, QuickPlan().Rounds, LongPlan().Rounds)
}
