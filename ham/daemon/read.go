package daemon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/pair"
)

// reader answers queries at the reading socket, and at that of the door. Whoever can connect may look at everything but the
// environments and arguments of other users' commands.
type reader struct {
	h         *half
	listeners []net.Listener
	running   sync.WaitGroup
	quit      chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]net.Listener // at which it came
}

const (
	maxReaders     = 4096             // connections at once
	maxAtDoor      = 256              // of these at the door
	queryWithin    = 5 * time.Second  // for a client to say what it wants
	lineWithin     = 10 * time.Second // for a client to take what was written
	lookWithin     = 10 * time.Second // for the loop to get to it
	entitiesAtOnce = 64               // that are encoded in one turn of the loop
)

func newReader(h *half) (*reader, error) {
	r := &reader{h: h, conns: map[net.Conn]net.Listener{}, quit: make(chan struct{})}
	dirs := []string{h.dir}
	if h.cfg.Door != "" {
		dirs = append(dirs, h.cfg.Door)
	}
	for i, dir := range dirs {
		mode, most := os.FileMode(0o600), maxReaders
		if i > 0 {
			mode, most = 0o666, maxAtDoor
		}
		l, err := listenAt(dir, talk.ReadSocket, mode)
		if err != nil {
			r.close()
			return nil, err
		}
		r.listeners = append(r.listeners, l)
		r.running.Go(func() { r.accept(l, most) })
	}
	return r, nil
}

// listenAt listens at a name in a directory, in place of whoever did before. The path may be longer than an address of a socket.
func listenAt(dir, name string, mode os.FileMode) (net.Listener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot listen in %s: %w", dir, err)
	}
	defer d.Close()
	fresh := name + ".new"
	_ = os.Remove(filepath.Join(dir, fresh))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), fresh)})
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s/%s: %w", dir, name, err)
	}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(filepath.Join(dir, fresh), mode); err == nil {
		err = os.Rename(filepath.Join(dir, fresh), filepath.Join(dir, name))
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("cannot listen at %s/%s: %w", dir, name, err)
	}
	return l, nil
}

func (r *reader) accept(l net.Listener, most int) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors: it waits in the queue
			select {
			case <-r.quit:
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		r.mu.Lock()
		full := r.count(l) >= most
		if !full {
			r.conns[c] = l
		}
		r.mu.Unlock()
		if full {
			_ = writeLine(c, talk.Line{Error: fmt.Sprintf("too many readers, the limit is %d", most)})
			_ = c.Close()
			continue
		}
		r.running.Go(func() { r.serve(c) })
	}
}

// count counts the connections at a socket. r is locked.
func (r *reader) count(at net.Listener) (n int) {
	for _, l := range r.conns {
		if l == at {
			n++
		}
	}
	return n
}

// close ends all connections, and returns when nobody uses the loop any more.
func (r *reader) close() {
	close(r.quit)
	for _, l := range r.listeners {
		_ = l.Close()
	}
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

func (r *reader) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	_ = c.SetReadDeadline(time.Now().Add(queryWithin))
	line, err := bufio.NewReader(io.LimitReader(c, talk.MaxQuery)).ReadBytes('\n')
	var q talk.Query
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	if err != nil {
		_ = writeLine(c, talk.Line{Error: fmt.Sprintf("cannot read the query: %v: expected one line of JSON of at most %d bytes", err, talk.MaxQuery)})
		return
	}
	if err := r.answer(c, &q); err != nil && !errors.Is(err, errNotHAM) {
		_ = writeLine(c, talk.Line{Error: err.Error()})
	}
}

func (r *reader) answer(c net.Conn, q *talk.Query) error {
	switch q.Op {
	case talk.OpRoot:
		return r.send(c, func() []talk.Line {
			root := *r.h.rec.Root()
			return []talk.Line{{Root: &root}, {End: true}}
		})
	case talk.OpEntities:
		return r.entities(c, q.Names)
	case talk.OpRunning:
		eyes := eyesOf(c)
		return r.send(c, func() (lines []talk.Line) {
			for j := range r.h.rec.Jobs() {
				lines = append(lines, talk.Line{Job: eyes.job(j)})
			}
			return append(lines, talk.Line{End: true})
		})
	case talk.OpHistory:
		return r.history(c, q)
	}
	return fmt.Errorf("unknown query %q: expected %s, %s, %s or %s", q.Op, talk.OpRoot, talk.OpEntities, talk.OpRunning, talk.OpHistory)
}

// onLoop has f called on the loop of the pair, where the records are, and returns when what f has seen is safe: before that a death
// of HAM could undo it.
func (r *reader) onLoop(f func()) error { return r.onCall(func(*pair.Call) { f() }) }

func (r *reader) onCall(f func(c *pair.Call)) error {
	done := make(chan struct{})
	r.h.calls.Post(func(c *pair.Call) {
		if r.h.machine != nil {
			f(c)
			c.After(func() { close(done) })
		}
	})
	select {
	case <-done:
		return nil
	case <-r.quit:
	case <-time.After(lookWithin):
	}
	return errNotHAM
}

// errNotHAM ends a connection without a word: whoever asked finds another HAM when he asks again.
var errNotHAM = errors.New("this half of HAM is not the primary any more")

// send writes the lines that f finds on the loop. They are encoded there: a record is not changed, but what it is part of is.
func (r *reader) send(c net.Conn, f func() []talk.Line) error {
	var b []byte
	var err error
	if e := r.onLoop(func() { b, err = encode(f()) }); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	return write(c, b)
}

func (r *reader) entities(c net.Conn, names []string) error {
	if len(names) == 0 {
		err := r.onLoop(func() {
			for e := range r.h.rec.Entities() {
				names = append(names, e.Name)
			}
		})
		if err != nil {
			return err
		}
	}
	eyes := eyesOf(c)
	for part := range slices.Chunk(names, entitiesAtOnce) {
		err := r.send(c, func() (lines []talk.Line) {
			for _, name := range part {
				if e := r.h.rec.Entity(name); e != nil {
					lines = append(lines, talk.Line{Entity: eyes.entity(e), LastBeat: r.h.machine.LastBeat(name)})
				}
			}
			return lines
		})
		if err != nil {
			return err
		}
	}
	return writeLine(c, talk.Line{End: true})
}

// history tells what has happened, and goes on with what happens.
func (r *reader) history(c net.Conn, q *talk.Query) error {
	if err := r.isClient(c, q.Client); err != nil {
		return err
	}
	w := r.h.feed.follow(q.After, q.Client)
	defer r.h.feed.leave(w)
	gone := make(chan struct{})
	if q.Follow {
		_ = c.SetReadDeadline(time.Time{})
		r.running.Go(func() { // it has nothing more to say: this ends when it goes
			_, _ = io.Copy(io.Discard, c)
			close(gone)
		})
	}
	for first := true; ; first = false {
		happened, missed, told := r.h.feed.next(w)
		if first && q.Last > 0 && len(happened) > q.Last {
			happened = happened[len(happened)-q.Last:]
		}
		lines := make([]talk.Line, 0, len(happened)+len(told)+1)
		for i := range happened {
			lines = append(lines, talk.Line{Happening: &happened[i], Missed: missed && i == 0})
		}
		for _, line := range told {
			lines = append(lines, talk.Line{Told: line})
		}
		if first {
			lines = append(lines, talk.Line{Ready: q.Follow, End: !q.Follow})
		}
		b, err := encode(lines)
		if err == nil {
			err = write(c, b)
		}
		if err != nil || !q.Follow {
			return err
		}
		select {
		case <-w.more:
		case <-gone:
			return nil
		case <-r.quit:
			return nil
		}
	}
}

// isClient refuses who wants to be told what is for another user's client.
func (r *reader) isClient(c net.Conn, client uint64) error {
	if client == 0 {
		return nil
	}
	owner, known := int64(0), false
	err := r.onCall(func(c *pair.Call) {
		if uid, pid := c.SenderOf(client); pid != 0 {
			owner, known = int64(uid), true
		}
	})
	uid := peerUID(c)
	switch {
	case err != nil:
		return err
	case !known:
		return fmt.Errorf("client %d: %w", client, core.ErrNotFound)
	case uid != owner && uid != 0 && uid != int64(os.Geteuid()):
		return fmt.Errorf("client %d belongs to user %d, not to %d: %w", client, owner, uid, core.ErrNotPermitted)
	}
	return nil
}

func encode(lines []talk.Line) (b []byte, err error) {
	for i := range lines {
		line, err := json.Marshal(&lines[i])
		if err != nil {
			return nil, err
		}
		b = append(append(b, line...), '\n')
	}
	return b, nil
}

func write(c net.Conn, b []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(lineWithin))
	_, err := c.Write(b)
	return err
}

func writeLine(c net.Conn, l talk.Line) error {
	b, err := encode([]talk.Line{l})
	if err != nil {
		return err
	}
	return write(c, b)
}
