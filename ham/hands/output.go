package hands

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// output opens where the standard output and error of a program go: a file of the caller's, to be closed when the program has
// it. There is a stream only if the output passes through this process, which it does to be logged, or for rotation.
func (h *Hands) output(p place, n note) (*os.File, *stream, error) {
	switch {
	case n.Output.Drop:
		f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		return f, nil, err
	case n.Output.File != "" && n.Output.Size <= 0:
		f, err := openAppend(n.As, n.Output.File)
		return f, nil, err
	}
	return h.streams.open(p, n)
}

// openAppend opens a file to append to, with the rights of the owner. It does not wait for the reader of a pipe.
func openAppend(o core.Owner, path string) (*os.File, error) {
	fd := -1
	err := as(o, func() (err error) {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0o640)
		return err
	})
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write to %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// rotating is a file that is renamed and begun anew when it has its size. It is cut between lines, unless one is too long.
type rotating struct {
	log  *slog.Logger
	note note
	file *os.File
	size int64
	mid  bool // in the middle of a line
	bad  bool // the last write failed, which has been said
}

func newRotating(log *slog.Logger, n note) (*rotating, error) {
	r := &rotating{log: log.With("of", n.Label, "file", n.Output.File), note: n}
	return r, r.open()
}

func (r *rotating) open() error {
	f, err := openAppend(r.note.As, r.note.Output.File)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if !info.Mode().IsRegular() {
		r.note.Output.Size = math.MaxInt64 // a terminal, a pipe
	}
	r.file, r.size, r.mid = f, info.Size(), false
	return nil
}

func (r *rotating) write(b []byte) {
	for len(b) > 0 {
		room := int(min(r.note.Output.Size-r.size, int64(len(b))))
		if room <= 0 && (!r.mid || room <= -maxLine) {
			r.rotate()
			continue
		}
		n := room
		if n < len(b) { // the line that passes the size is the last one
			from := max(room-1, 0)
			end := bytes.IndexByte(b[from:], '\n')
			if n = from + end + 1; end < 0 {
				n = min(len(b), max(room, 0)+maxLine)
			}
		}
		r.append(b[:n])
		b = b[n:]
	}
}

// append writes to the file. What a full disk does not take is lost, and that is said once.
func (r *rotating) append(b []byte) {
	_, err := r.file.Write(b)
	if err != nil && !r.bad {
		r.log.Warn("output is lost", "error", err)
	}
	r.bad = err != nil
	r.size += int64(len(b))
	r.mid = b[len(b)-1] != '\n'
}

// rotate renames the file and begins anew. If that fails the file goes on, for as much again.
func (r *rotating) rotate() {
	out := r.note.Output
	err := as(r.note.As, func() error {
		for i := max(out.Keep, 1); i > 1; i-- {
			err := os.Rename(numbered(out.File, i-1), numbered(out.File, i))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return os.Rename(out.File, numbered(out.File, 1))
	})
	if err == nil {
		old := r.file
		if err = r.open(); err == nil {
			old.Close()
			return
		}
	}
	r.log.Warn("output file is not renamed", "error", err)
	r.size, r.mid = 0, false
}

func (r *rotating) end() { r.file.Close() }

func numbered(path string, i int) string { return path + "." + strconv.Itoa(i) }

var _ sink = (*rotating)(nil)
