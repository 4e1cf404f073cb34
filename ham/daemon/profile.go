package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profiled runs f and leaves a processor profile of it in a directory, if there is to be one.
func profiled(dir string, f func() error) error {
	if dir == "" {
		return f()
	}
	out, err := os.Create(filepath.Join(dir, fmt.Sprintf("ham-%d.pprof", os.Getpid())))
	if err != nil {
		return fmt.Errorf("cannot profile HAM: %w", err)
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return fmt.Errorf("cannot profile HAM: %w", err)
	}
	defer pprof.StopCPUProfile()
	return f()
}
