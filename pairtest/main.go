package pairtest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Programs are what the test binary can be started as, by name. A program ends with the process.
type Programs map[string]func(ctx context.Context) error

// envProgram makes a test binary one of its programs. A primary hands it on to the backup that it starts.
const envProgram = "TANDEM_PAIRTEST"

// Main is the body of TestMain. It does not return: it ends the process with the result of the tests, or as the program
// that this process was started as. The result is a failure also if the tests left a descriptor or a child behind.
//
// It makes the test process adopt the members whose parents die (PR_SET_CHILD_SUBREAPER).
func Main(m *testing.M, programs Programs) {
	if name := os.Getenv(envProgram); name != "" {
		os.Exit(play(name, programs))
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "cannot adopt the members of pairs:", err)
		os.Exit(2)
	}
	before := census()
	code := m.Run()
	if left := leftOver(before); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "broken promise: a test leaves nothing behind; these did:", left)
		code = 1
	}
	os.Exit(code)
}

// play runs one of the programs.
func play(name string, programs Programs) int {
	run := programs[name]
	if run == nil {
		fmt.Fprintf(os.Stderr, "pairtest: no program %q, expected one of %q\n", name, slices.Sorted(maps.Keys(programs)))
		return 2
	}
	go dieWithTheTest()
	if err := run(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// lookMilliseconds is how often a member looks whether its test is still there, besides being told.
const lookMilliseconds = 200

// dieWithTheTest ends this process when nobody holds the other end of its stderr any more: the test was killed, and its
// members must not outlive it. All members have that pipe, whoever started them.
func dieWithTheTest() {
	fds := []unix.PollFd{{Fd: 2}} // no event is asked for; POLLERR comes unasked
	for {
		// Not for ever: an upgrade puts another pipe behind this descriptor, and a poll that sleeps does not notice.
		if n, err := unix.Poll(fds, lookMilliseconds); n > 0 && err == nil {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		} else if err != nil && err != unix.EINTR {
			return
		}
	}
}

// settleWithin is how long what ends beside the tests may take to be gone.
const settleWithin = 5 * time.Second

// leftOver says what there is more of than before, once things have settled.
func leftOver(before map[string]int) (left string) {
	for end := time.Now().Add(settleWithin); time.Now().Before(end); time.Sleep(time.Millisecond) {
		left = ""
		for what, n := range census() {
			if n > before[what] {
				left += fmt.Sprintf(" %s (%d, were %d)", what, n, before[what])
			}
		}
		if left == "" {
			return ""
		}
		runtime.GC() // closes files that were only forgotten
	}
	return left
}

// census counts the descriptors of this process by what they are, and its children.
func census() map[string]int {
	if r, w, err := os.Pipe(); err == nil { // the runtime's own poller, once made, stays: it is no leak
		_, _ = r.Close(), w.Close()
	}
	c := map[string]int{}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			c[strings.TrimRight(target, "0123456789[]:")]++
		}
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		c["child process"]++
	}
	return c
}
