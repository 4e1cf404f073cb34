package hands

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stream is the output of one program that this process takes from a named pipe, to the log or to a file with rotation.
//
// The program holds the pipe open for reading and writing. So while nobody reads, because HAM is being taken over, it sees a pipe
// that is full at worst, never a broken one. Whoever is HAM next opens the pipe by its name, and misses at most the bufferful
// that the dead one had taken out and not passed on.
type stream struct {
	place place
	pipe  *os.File
	ended chan struct{} // closed when nobody can write to it any more, or at Close

	mu   sync.Mutex
	note note
	sink sink
	tail []byte // what came last

	last bool // the place goes with the stream; guarded by streams.mu
}

// sink takes the output of a program.
type sink interface {
	write(b []byte)
	end() // nothing more comes
}

const (
	streamBuffer = 16 << 10
	tailLength   = 1 << 10 // of what a command said last, for the outcome
)

// streams are all of them.
type streams struct {
	h       *Hands
	buffers sync.Pool // *[streamBuffer]byte: only a stream that has something to say needs one

	mu  sync.Mutex
	all map[place]*stream
}

// open returns the program's end of the stream of a place, for the caller to close when the program has it. A stream that an
// earlier program of the place has left to its children goes on.
func (ss *streams) open(p place, n note) (*os.File, *stream, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if err := p.write(n); err != nil {
		return nil, nil, err
	}
	path := p.file(pipeFile)
	if err := unix.Mkfifo(path, 0o600); err != nil && err != unix.EEXIST {
		return nil, nil, fmt.Errorf("cannot make a pipe at %s: %w", path, err)
	}
	// Not os.OpenFile, which would make it non-blocking. This never waits: it is its own other end.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the pipe at %s: %w", path, err)
	}
	theirs := os.NewFile(uintptr(fd), path)
	s := ss.all[p]
	if s == nil {
		s, err = ss.read(p, n)
	} else {
		s.last = false
		err = s.turn(ss.h.log, n)
	}
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return theirs, s, nil
}

// read starts to read the pipe of a place. ss is locked.
func (ss *streams) read(p place, n note) (*stream, error) {
	s := &stream{place: p, note: n, ended: make(chan struct{})}
	var err error
	if s.pipe, err = os.OpenFile(p.file(pipeFile), os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	if s.sink, err = newSink(ss.h.log, n); err != nil {
		s.pipe.Close()
		return nil, err
	}
	raw, err := s.pipe.SyscallConn()
	if err != nil {
		s.pipe.Close()
		return nil, err
	}
	ss.all[p] = s
	go ss.run(s, raw)
	return s, nil
}

// turn sends what comes from now on to where another note says.
func (s *stream) turn(log *slog.Logger, n note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.note == n {
		return nil
	}
	sink, err := newSink(log, n)
	if err == nil {
		s.sink.end()
		s.note, s.sink = n, sink
	}
	return err
}

// resume goes on reading the pipes that programs of an earlier HAM still write to. It does not wait for that, for there may be thousands;
// whoever wants a stream does.
func (ss *streams) resume() {
	dir := ss.h.cfg.Dir
	ss.mu.Lock()
	if !ss.h.go_(func() {
		defer ss.mu.Unlock()
		ss.resumeAll(dir)
	}) {
		ss.mu.Unlock()
	}
}

// resumeAll looks at every place in a directory. ss is locked.
func (ss *streams) resumeAll(dir string) {
	dirs, _ := os.ReadDir(dir)
	for _, d := range dirs {
		if ss.h.ctx.Err() != nil {
			return
		}
		p := place(filepath.Join(dir, d.Name()))
		if err := ss.resumeAt(p, strings.HasPrefix(d.Name(), commandPrefix)); err != nil {
			ss.h.say(slog.LevelWarn, "output is not read on", "place", d.Name(), "error", err)
		}
	}
}

// resumeAt goes on at one place, if it is one and somebody may still write there. The place of a command goes with its stream.
func (ss *streams) resumeAt(p place, command bool) error {
	if _, err := os.Lstat(p.file(pipeFile)); err != nil {
		if command {
			p.remove()
		}
		return nil
	}
	n, err := p.read()
	if err != nil {
		return err
	}
	s, err := ss.read(p, n)
	if err == nil {
		s.last = command
	}
	return err
}

// run passes on what the program writes, until nobody can write any more.
func (ss *streams) run(s *stream, raw syscall.RawConn) {
	defer close(s.ended)
	for {
		more, err := ss.pass(s, raw)
		if err != nil {
			s.finish() // the hands are closed; the pipe stays for those who come next
			return
		}
		if !more && ss.over(s) {
			s.finish()
			return
		}
	}
}

// pass waits for output and passes it on. More is false at the end, that is, when no process has the pipe open for writing.
func (ss *streams) pass(s *stream, raw syscall.RawConn) (more bool, err error) {
	err = raw.Read(func(fd uintptr) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n, readErr := ss.read1(s, int(fd))
		more = n > 0
		return readErr != unix.EAGAIN
	})
	return more, err
}

// read1 passes on one bufferful, if there is one. s is locked: what has been read has been passed on when it no longer is.
func (ss *streams) read1(s *stream, fd int) (n int, err error) {
	buf, _ := ss.buffers.Get().(*[streamBuffer]byte)
	if buf == nil {
		buf = new([streamBuffer]byte)
	}
	defer ss.buffers.Put(buf)
	for err = unix.EINTR; err == unix.EINTR; {
		n, err = unix.Read(fd, buf[:])
	}
	if n > 0 {
		s.sink.write(buf[:n])
		s.remember(buf[:n])
	}
	return n, err
}

// over ends a stream that nobody writes to, unless somebody has just come to.
func (ss *streams) over(s *stream) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var poll [1]unix.PollFd
	hangup := false
	if raw, err := s.pipe.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
			_, err := unix.Poll(poll[:], 0)
			hangup = err == nil && poll[0].Revents == unix.POLLHUP
		})
	}
	if hangup {
		delete(ss.all, s.place)
		_ = os.Remove(s.place.file(pipeFile))
		s.pipe.Close()
		if s.last {
			s.place.remove()
		}
	}
	return hangup
}

// at returns the stream of a place, nil if there is none.
func (ss *streams) at(p place) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.all[p]
}

// abandon removes a place, when nobody writes to its stream any more.
func (ss *streams) abandon(p place) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.all[p]; s != nil {
		s.last = true
		return
	}
	p.remove()
}

func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink.end()
}

// remember keeps what came last.
func (s *stream) remember(b []byte) {
	if len(b) >= tailLength {
		s.tail = append(s.tail[:0], b[len(b)-tailLength:]...)
		return
	}
	if over := len(s.tail) + len(b) - tailLength; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	s.tail = append(s.tail, b...)
}

// final returns what the program of the stream, which has ended, said last. What its children go on to say is not waited for.
func (ss *streams) final(s *stream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if raw, err := s.pipe.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // an error: it has been read to its end
			const pipeFull = 1 << 20 / streamBuffer // what the largest pipe holds
			for range pipeFull {
				if n, _ := ss.read1(s, int(fd)); n <= 0 {
					return
				}
			}
		})
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(s.tail), "?"))
}

func (ss *streams) close() {
	ss.mu.Lock()
	all := ss.all
	ss.all = map[place]*stream{}
	ss.mu.Unlock()
	for _, s := range all {
		go s.pipe.Close() // waits for a write to the log that is under way
	}
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	for _, s := range all {
		select {
		case <-s.ended:
		case <-timer.C:
			return
		}
	}
}

// newSink returns where the output of a program goes according to its note.
func newSink(log *slog.Logger, n note) (sink, error) {
	if n.Output.File != "" {
		return newRotating(log, n)
	}
	return &logSink{log: log.With("of", n.Label)}, nil
}

// logSink is the log, line by line.
type logSink struct {
	log   *slog.Logger
	lines lines
}

func (s *logSink) write(b []byte) { s.lines.feed(b, s.line) }
func (s *logSink) end()           { s.lines.end(s.line) }
func (s *logSink) line(text []byte) {
	s.log.Info("output", "line", strings.ToValidUTF8(string(text), "?"))
}

var _ sink = (*logSink)(nil)
