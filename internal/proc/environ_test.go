package proc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

func TestWhatWasMeantForOneLifeIsNotPassedOn(t *testing.T) {
	t.Parallel()
	env := []string{"PATH=/bin", "TANDEM_JOIN=bank/1", "TANDEM_DIR=/run/x", "NOTIFY_SOCKET=@x", "HAM_SPAWN=7", "LISTEN_FDS=2", "HAMLET=prince", "EMPTY="}
	require.Equal(t, []string{"PATH=/bin", "TANDEM_DIR=/run/x", "HAMLET=prince", "EMPTY="}, proc.Lasting(env))
	require.Len(t, env, 8, "broken promise: what is given is left as it is")
}
