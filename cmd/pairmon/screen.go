package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// screen is where the demo tells how it goes on. On a terminal its last line is alive.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	lives bool
}

func newScreen(f *os.File) *screen {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &screen{w: f, lives: err == nil}
}

const eraseLine = "\r\x1b[K"

// print prints lines that stay.
func (s *screen) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives {
		fmt.Fprint(s.w, eraseLine)
	}
	fmt.Fprintf(s.w, format, args...)
}

// live replaces the living line, if there is one.
func (s *screen) live(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives {
		fmt.Fprintf(s.w, eraseLine+format, args...)
	}
}

// header names the columns of a row.
func (s *screen) header() {
	s.print("Times in ms after the SIGKILL; gap: the longest that a client waited between two replies.\n\n")
	s.print("  %4s %8s %8s | %8s %8s %8s %8s %8s %8s %8s | %8s\n", "kill", "pid", "reqs/s",
		"noticed", "sealed", "drained", "serving", "reply", "fenced", "restored", "gap")
}

// row shows a takeover.
func (s *screen) row(number int, t *takeover) {
	var b strings.Builder
	fmt.Fprintf(&b, "  %4d %8d %8.0f |", number, t.pid, t.rate)
	for _, p := range t.phases {
		fmt.Fprintf(&b, " %8s", bare(p.at))
	}
	fmt.Fprintf(&b, " | %8s", bare(slices.Max(t.gaps)))
	if t.cause != "death" {
		fmt.Fprintf(&b, "  (cause: %s)", t.cause)
	}
	s.print("%s\n", b.String())
}

// bare is a number of milliseconds; a dash for what did not happen.
func bare(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}
