package hands

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// DumpCommand as the first word of a command makes it one that hands run by themselves: what /proc shows of the process to which it
// happened is appended to the output file of the command, or logged. A signal may follow, such as SIGQUIT, by which a Go program
// writes its stacks, or SIGABRT, by which others dump core: it is sent then.
const DumpCommand = "@dump"

const (
	maxDump    = 64 << 10 // bytes of one file
	maxThreads = 256
)

// dump saves what can be seen of a process. Its owner must be one who could signal it.
func (h *Hands) dump(r core.RunCommand) error {
	pid := r.Cause.PID
	if pid <= 0 {
		return fmt.Errorf("cannot dump: what happened has no process")
	}
	if err := mayKill(r.As, pid); err != nil {
		return err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "=== %s: process %d of %s at %s\n", r.Path, pid, r.Cause.Entity, time.Unix(0, r.Cause.Wall).UTC().Format(time.RFC3339Nano))
	describeProcess(&text, fmt.Sprintf("/proc/%d", pid))
	if err := h.saveDump(r, text.Bytes()); err != nil {
		return err
	}
	if len(r.Command.Argv) < 2 {
		return nil
	}
	sig := unix.SignalNum(strings.ToUpper(r.Command.Argv[1]))
	if sig == 0 {
		return fmt.Errorf("cannot dump: unknown signal %q", r.Command.Argv[1])
	}
	return signalFor(r.As, core.Signal{PID: pid, Signal: int(sig)})
}

func (h *Hands) saveDump(r core.RunCommand, text []byte) error {
	if r.Command.Output.File == "" {
		h.say(slog.LevelInfo, "dump", "of", r.Path.String(), "text", string(text))
		return nil
	}
	f, err := openAppend(r.As, r.Command.Output.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("cannot save a dump: %w", err)
	}
	return nil
}

// describeProcess writes what a debugger would be asked for first: what the process is, and where each of its threads stands.
func describeProcess(w io.Writer, dir string) {
	for _, name := range []string{"cmdline", "status", "stat", "limits", "cgroup", "maps"} {
		describeFile(w, filepath.Join(dir, name))
	}
	threads, _ := os.ReadDir(filepath.Join(dir, "task"))
	for _, t := range threads[:min(len(threads), maxThreads)] {
		for _, name := range []string{"comm", "wchan", "syscall", "stack"} {
			describeFile(w, filepath.Join(dir, "task", t.Name(), name))
		}
	}
}

func describeFile(w io.Writer, path string) {
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintf(w, "--- %s: %v\n", path, err)
		return
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDump))
	text = bytes.ReplaceAll(bytes.TrimRight(text, "\n\x00"), []byte{0}, []byte{' '})
	if err != nil {
		fmt.Fprintf(w, "--- %s: %v\n", path, err)
	} else {
		fmt.Fprintf(w, "--- %s\n%s\n", path, text)
	}
}
