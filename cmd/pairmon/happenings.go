package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
)

// happeningText shows one happening to a person: when, where, what, and how.
func happeningText(h *ham.Happening) string {
	where := ham.Path{Entity: h.Entity, Condition: h.Condition, Action: h.Action}.String()
	if where == "" {
		where = "HAM"
	}
	words := []string{time.Unix(0, h.Wall).Format("2006-01-02 15:04:05.000"), printable(where), string(h.What)}
	if h.PID != 0 {
		words = append(words, fmt.Sprintf("(process %d)", h.PID))
	}
	line := strings.Join(words, " ")
	if h.Exit != nil {
		line += ", " + exitText(h.Exit)
	}
	if h.Text != "" {
		line += ": " + printable(h.Text)
	}
	return line
}

// exitText tells how a process ended.
func exitText(x *ham.Exit) string {
	switch {
	case !x.Known:
		return "nobody knows how"
	case x.Signal != 0 && x.Core:
		return signalName(x.Signal) + " with a core file"
	case x.Signal != 0:
		return signalName(x.Signal)
	}
	return fmt.Sprintf("status %d", x.Code)
}

func signalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", n)
}

// printable keeps what others have written from commanding the terminal, or looking like two lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
