package proc

import (
	"slices"
	"strings"
)

// Lasting returns an environment without the variables that were meant for one life of a process only: a process that is to be started
// as another one was must not take them for its own.
func Lasting(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "TANDEM_JOIN", "TANDEM_MUFFLED", // of a backup that was started (package pair)
			"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", // sd_notify(3), sd_watchdog_enabled(3)
			"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES": // sd_listen_fds(3)
			return true
		}
		return strings.HasPrefix(name, "HAM_") // of a process that HAM started
	})
}
