package pair

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A program that is tried out as a successor may have something to say when it fails, and whoever has asked for the
// upgrade should read it. So its stdout and stderr are a pipe to the primary, until it holds the whole state; from then on
// they are what they would have been, for it must not depend on a process that it is about to replace.

// envMuffled tells a process that its stdout and stderr lead to the primary, and that its own are mutedOut and mutedErr.
const envMuffled = "TANDEM_MUFFLED"

const (
	mutedOut = joinFD + 1
	mutedErr = joinFD + 2
)

// takeMuffled reports whether this process was started so.
func takeMuffled() bool {
	if os.Getenv(envMuffled) == "" {
		return false
	}
	_ = os.Unsetenv(envMuffled) // it is not for what this process starts
	unix.CloseOnExec(mutedOut)
	unix.CloseOnExec(mutedErr)
	return true
}

// speakAloud gives this process its own stdout and stderr.
func (m *member) speakAloud() {
	if !m.muffled {
		return
	}
	m.muffled = false
	for from, to := range map[int]int{mutedOut: 1, mutedErr: 2} {
		if err := unix.Dup3(from, to, 0); err != nil {
			m.log.Error("cannot have stdout or stderr back", "descriptor", to, "cause", err)
		}
		_ = unix.Close(from)
	}
}

const (
	speechMost = 64 << 10 // kept of what a successor prints
	wordsMost  = 1 << 10  // of which so much goes into an error
)

// speech is what a process has printed, as far as it is kept: the end.
type speech struct {
	from *os.File
	over chan struct{} // closed at the end of file

	mu   sync.Mutex
	kept []byte
}

// hear reads from a process until it has ended, or speaks aloud. What was kept is then printed here, where it would have
// gone.
func hear(from *os.File) *speech {
	s := &speech{from: from, over: make(chan struct{})}
	go func() {
		defer close(s.over)
		defer from.Close()
		buf := make([]byte, 4<<10)
		for {
			n, err := from.Read(buf)
			s.take(buf[:n])
			if err != nil {
				break
			}
		}
		_, _ = os.Stderr.Write(s.kept) // nobody else writes to it any more
	}()
	return s
}

func (s *speech) take(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, b...)
	if n := len(s.kept); n > speechMost {
		s.kept = append(s.kept[:0], s.kept[n-speechMost/2:]...)
	}
}

// words returns the last words, once the speech is over or this has been waited for long enough: a grandchild may go on
// holding the pipe.
func (s *speech) words(within time.Duration) string {
	select {
	case <-s.over:
	case <-time.After(within):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.kept
	if len(b) > wordsMost {
		b = b[len(b)-wordsMost:]
		for len(b) > 0 && !utf8.RuneStart(b[0]) {
			b = b[1:]
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(b), "?"))
}

// saying adds last words to an error.
func saying(err error, words string) error {
	if words == "" {
		return err
	}
	return fmt.Errorf("%w; it said: %s", err, words)
}
