package world

import (
	"fmt"
	"os"
	"strings"
)

// NoRoom says why something that needs so much memory is not run; "": there is room for it.
func NoRoom(needMiB int) string { return noRoom(needMiB, available()) }

func noRoom(needMiB, hasMiB int) string {
	if hasMiB >= needMiB {
		return ""
	}
	return fmt.Sprintf("not run: needs %.1f GiB, has %.1f GiB", float64(needMiB)/1024, float64(hasMiB)/1024)
}

// available is the kernel's estimate of what can be used without swapping, in MiB; 0: it does not tell.
func available() (mib int) {
	b, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(b)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib >> 10
		}
	}
	return 0
}
