package hands

import (
	"strconv"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

const (
	maxStatus = 1 << 10 // bytes of STATUS= that are kept
	maxFDName = 255     // of FDNAME=, as systemd has it
)

// message is one datagram of sd_notify(3), read.
type message struct {
	core.Notified
	store  bool   // FDSTORE=1: the descriptors beside it are to be kept
	remove bool   // FDSTOREREMOVE=1: those of that name are not any more
	fdName string // FDNAME=
}

// said reports whether the state machine need hear of it.
func (m *message) said() bool {
	return m.Ready || m.Reloading || m.Stopping || m.Watchdog || m.Trigger || m.Extend > 0 || m.HasStatus || m.MainPID > 0 || m.HasFDs
}

// parseMessage reads lines of NAME=value. What it does not know, or what makes no sense, it passes over, as systemd does.
func parseMessage(text string) (m message) {
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		switch name {
		case "READY":
			m.Ready = m.Ready || value == "1"
		case "RELOADING":
			m.Reloading = m.Reloading || value == "1"
		case "STOPPING":
			m.Stopping = m.Stopping || value == "1"
		case "WATCHDOG":
			m.Watchdog = m.Watchdog || value == "1"
			m.Trigger = m.Trigger || value == "trigger"
		case "EXTEND_TIMEOUT_USEC":
			m.Extend = microseconds(value)
		case "STATUS":
			m.HasStatus = true
			m.Status = strings.ToValidUTF8(value[:min(len(value), maxStatus)], "?")
		case "MAINPID":
			if pid, err := strconv.ParseInt(value, 10, 32); err == nil && pid > 1 {
				m.MainPID = int(pid)
			}
		case "FDSTORE":
			m.store = m.store || value == "1"
		case "FDSTOREREMOVE":
			m.remove = m.remove || value == "1"
		case "FDNAME":
			m.fdName = fdName(value)
		}
	}
	if m.fdName == "" && m.store {
		m.fdName = "stored" // as systemd calls it
	}
	return m
}

// fdName returns a name for a descriptor that fits LISTEN_FDNAMES, "" for one that does not.
func fdName(s string) string {
	bad := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f || r == ':' })
	if bad || len(s) > maxFDName {
		return ""
	}
	return s
}

// microseconds reads a time; 0 for what is none, or too long to be one.
func microseconds(s string) time.Duration {
	const longest = 1 << 50 // 35 years
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > longest {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
