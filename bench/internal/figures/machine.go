package figures

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

func thisMachine() Machine {
	m := Machine{CPU: "unknown", CPUs: runtime.NumCPU(), Arch: runtime.GOARCH}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		m.MemoryMiB = uint64(si.Totalram) * uint64(si.Unit) >> 20
	}
	return m
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// commit is what the program was built from. `go run` leaves no trace of it, so git is asked as well.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=40").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// ProcessorTime is what all processors have done since the start of the machine, in ticks.
type ProcessorTime struct{ all, stolen uint64 }

// ReadProcessorTime reads it; zero where the kernel does not tell.
func ReadProcessorTime() (t ProcessorTime) {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	var v [8]uint64 // user nice system idle iowait irq softirq steal
	_, _ = fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7])
	for _, x := range v {
		t.all += x
	}
	t.stolen = v[7]
	return t
}

// StolenSince returns how much of the time since then the host gave to others, in percent.
func (t ProcessorTime) StolenSince() float64 {
	now := ReadProcessorTime()
	return 100 * float64(now.stolen-t.stolen) / float64(max(now.all-t.all, 1))
}

// LoadAverage is how many threads have wanted to run in the last minute; 0 where the kernel does not tell.
func LoadAverage() (load float64) {
	b, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(b), &load)
	return load
}
