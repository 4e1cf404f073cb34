package registry

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkPublish(b *testing.B) {
	d, err := Open(filepath.Join(b.TempDir(), "run"), "bank")
	require.NoError(b, err)
	defer d.Close()
	p := fullPage()
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, d.Publish(p))
	}
}

func BenchmarkRead(b *testing.B) {
	root := filepath.Join(b.TempDir(), "run")
	file(b, root, 1, 2)
	b.ReportAllocs()
	for b.Loop() {
		_, err := Read(root, "bank")
		require.NoError(b, err)
	}
}
