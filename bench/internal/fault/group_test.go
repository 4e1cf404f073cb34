package fault

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHierarchiesThatControlMemoryAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mounts, own string
		want        []hierarchy
	}{
		"version 2": {
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n", "0::/user.slice/app\n",
			[]hierarchy{{[]string{"/sys/fs/cgroup/user.slice/app", "/sys/fs/cgroup"}, "memory.max", "memory.swap.max", "0", true}},
		},
		"both, and version 2 first": {
			"31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n32 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"4:memory:/job\n1:cpu:/\n0::/\n",
			[]hierarchy{
				{[]string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified"}, "memory.max", "memory.swap.max", "0", true},
				{[]string{"/sys/fs/cgroup/memory/job", "/sys/fs/cgroup/memory"}, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "", false},
			},
		},
		"none":    {"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n", nil},
		"garbage": {"a\nb - c\n\n - \n", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, hierarchies(c.mounts, c.own))
		})
	}
}

func TestAHierarchyThatDoesNotControlMemorySaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte("cpu io\n"), 0o600))
	h := hierarchy{parents: []string{dir}, v2: true, limit: "memory.max"}
	_, err := h.make(1)
	require.ErrorContains(t, err, "does not control memory")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "broken promise: nothing is left behind")
}

func TestOnlyTheKernelsKillerNeedsAControlGroup(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		if k != OOMKill {
			require.Empty(t, Unable(k))
		}
	}
}
