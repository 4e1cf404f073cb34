package hands

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/sock"
)

// notifier is the socket at which one program speaks sd_notify(3).
type notifier struct {
	h      *Hands
	entity string
	addr   string // as NOTIFY_SOCKET has it

	mu      sync.Mutex
	fd      int // -1: closed
	key     uint64
	who     speaker
	fdStore int // most descriptors that are stored
}

// speaker says who is listened to.
type speaker struct {
	uid   uint32
	group int // process group; 0: nobody yet
}

// notifyKey is under which the socket is held.
func notifyKey(entity string) string { return heldKey(entity, "notify") }

// newNotifier opens the socket of an entity, or goes on with the one that is held. Nothing is received before listenTo.
func (h *Hands) newNotifier(entity string, uid uint32) (*notifier, error) {
	n := &notifier{h: h, entity: entity, addr: h.notifyAddr(entity, uid)}
	var ok bool
	if n.fd, ok = h.held.get(notifyKey(entity)); !ok {
		fd, err := bindNotify(n.addr)
		if err != nil {
			return nil, fmt.Errorf("cannot open the notification socket %s: %w", n.addr, err)
		}
		n.fd = fd
		h.held.put(notifyKey(entity), fd)
	}
	var err error
	if n.key, err = h.ears.add(n.fd, 0, n.ready); err != nil {
		return nil, err
	}
	return n, nil
}

// notifyAddr is a file that only our user can reach, if that is who the program runs as and it is short enough for an address; else
// an abstract name. Who sends is checked in any case.
func (h *Hands) notifyAddr(entity string, uid uint32) string {
	path := h.placeOfEntity(entity).file(notifyFile)
	if len(path) < len(unix.RawSockaddrUnix{}.Path) && int(uid) == os.Geteuid() {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return "@tandem-ham/" + hex.EncodeToString(sum[:16])
}

func bindNotify(addr string) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if addr[0] != '@' {
		err = os.Remove(addr) // of a HAM that is no more
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err == nil {
			err = unix.Fchmod(fd, 0o600) // the mode that bind gives the file
		}
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: addr})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listenTo has messages received, from now on, and of this program only. The zero speaker: what comes waits.
func (n *notifier) listenTo(who speaker, fdStore int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.who, n.fdStore = who, fdStore
	want := sock.Readable
	if who.group == 0 {
		want = 0
	}
	n.h.ears.want(n.fd, n.key, want)
}

// pause receives what the program before has said, and lets what comes later wait for listenTo.
func (n *notifier) pause() {
	const all = 1 << 20
	n.receive(all)
	n.listenTo(speaker{}, 0)
}

// close ends receiving. The socket stays held.
func (n *notifier) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fd >= 0 {
		n.h.ears.del(n.fd, n.key)
		n.fd = -1
	}
}

// messagesAtOnce bounds how long one program can keep the others waiting.
const messagesAtOnce = 16

// ready receives some messages.
func (n *notifier) ready(sock.Flags) { n.receive(messagesAtOnce) }

func (n *notifier) receive(most int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var buf [4 << 10]byte
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*sock.MaxDescriptors))
	for range most {
		if n.fd < 0 || n.who.group == 0 {
			return
		}
		size, csize, flags, _, err := unix.Recvmsg(n.fd, buf[:], control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return
		}
		from, fds := parseControl(control[:csize])
		if flags&unix.MSG_TRUNC != 0 || from == nil || !n.who.is(from) {
			closeAll(fds)
			continue
		}
		n.take(parseMessage(string(buf[:size])), from, fds)
	}
}

// parseControl returns the credentials and descriptors that came with a datagram.
func parseControl(b []byte) (from *unix.Ucred, fds []int) {
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return nil, nil
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			from = cred
		}
		if rights, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, rights...)
		}
	}
	return from, fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// is reports whether a process belongs to the program. One that has ended by now, as systemd-notify(1) does at once, must have its
// user: its process group can not be asked for.
func (s speaker) is(from *unix.Ucred) bool {
	if from.Uid != s.uid && from.Uid != 0 || from.Pid == 0 { // 0: of another pid namespace
		return false
	}
	group, err := unix.Getpgid(int(from.Pid))
	return group == s.group || err == unix.ESRCH
}

// take does what a message asks for, and passes it on. n is locked.
func (n *notifier) take(m message, from *unix.Ucred, fds []int) {
	m.Entity, m.PID = n.entity, int(from.Pid)
	if m.store {
		n.store(m.fdName, fds)
	} else {
		closeAll(fds) // BARRIER=1: by this its sender learns that all before it has been received
	}
	if m.remove {
		for _, key := range n.h.storedKeys(n.entity) {
			if heldWords(key)[3] == m.fdName {
				n.h.held.drop(key)
			}
		}
	}
	if m.HasFDs = m.store || m.remove; m.HasFDs {
		m.FDs, _ = n.h.stored(n.entity)
	}
	if m.MainPID != 0 {
		id, err := proc.Identify(m.MainPID)
		if uid, uidErr := realUser(m.MainPID); err != nil || uidErr != nil || uid != n.who.uid {
			n.h.say(slog.LevelWarn, "MAINPID is ignored: no process of the program's user", "entity", n.entity, "pid", m.MainPID)
			m.MainPID = 0
		}
		m.MainStart = id.Start
	}
	if m.said() {
		n.h.event(core.Event{Notified: &m.Notified})
	}
}

// store keeps descriptors, as many as there is room for.
func (n *notifier) store(name string, fds []int) {
	keys := n.h.storedKeys(n.entity)
	next := 0
	if len(keys) > 0 {
		_, _ = fmt.Sscan(heldWords(keys[len(keys)-1])[2], &next)
	}
	for i, fd := range fds {
		if len(keys)+i >= n.fdStore {
			n.h.say(slog.LevelWarn, "descriptors are not stored: no room", "entity", n.entity, "fd_store", n.fdStore)
			closeAll(fds[i:])
			return
		}
		next++
		n.h.held.put(heldKey(n.entity, "store", fmt.Sprintf("%012d", next), name), fd)
	}
}

// storedKeys returns what is stored for an entity, in the order in which it came.
func (h *Hands) storedKeys(entity string) []string {
	keys := h.held.keys(entity, "store")
	slices.Sort(keys)
	return keys
}

// stored returns names and descriptors of what is stored for an entity.
func (h *Hands) stored(entity string) (names []string, fds []int) {
	for _, key := range h.storedKeys(entity) {
		if fd, ok := h.held.get(key); ok {
			names, fds = append(names, heldWords(key)[3]), append(fds, fd)
		}
	}
	return names, fds
}
