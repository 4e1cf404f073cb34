package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAJournalIsReloadedWithoutWhatWasNotWrittenWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := reload(path)
	require.NoError(t, err)
	for want := int64(1); want <= 3; want++ {
		n, ok := j.Add()
		require.True(t, ok)
		require.Equal(t, want, n)
	}
	require.NoError(t, j.file.Close())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{1, 0, 0}) // killed here
	require.NoError(t, err)
	require.NoError(t, f.Close())

	j, err = reload(path)
	require.NoError(t, err)
	defer j.file.Close()
	n, ok := j.Add()
	require.True(t, ok)
	require.EqualValues(t, 4, n, "an acknowledged addition is missing, or half of one counts")
}

func TestAnUnknownVerbIsRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, run(nil), "bench/peers")
	require.ErrorContains(t, run([]string{"dance"}), "dance")
	require.Error(t, run([]string{"member", "counter", "nobody"}))
	require.Error(t, run([]string{"restarted"}))
}
