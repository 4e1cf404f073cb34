package hands

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// entity is what hands hold for one entity. Only the calls in its lane touch it, and Close when these are over.
type entity struct {
	h        *Hands
	name     string
	process  proc.ID   // the one that is watched; zero: none
	group    bool      // what is left of its process group is killed when it ends
	watched  *watched  // nil: it cannot be watched at present
	notifier *notifier // nil: it has no notification socket
	owner    core.Owner
}

// entity returns the one of that name, which is made if need be.
func (h *Hands) entity(name string) *entity {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entities[name]
	if e == nil {
		e = &entity{h: h, name: name}
		h.entities[name] = e
	}
	return e
}

// spawn starts the process of the entity, or finds the one that was started under this ID before.
func (e *entity) spawn(s core.Spawn) {
	if e.group {
		awaitGroup(e.h.ctx, e.process.PID)
	}
	e.leave()
	e.group = s.Group
	if s.Again && e.spawnedBefore(s) {
		return
	}
	e.owner = s.As
	p, err := e.program(s)
	if err != nil {
		e.failed(s, err)
		return
	}
	id, pidfd, err := e.h.start(&p.launch)
	p.closeFiles()
	if err != nil {
		e.failed(s, err)
		return
	}
	if err := e.h.placeOfEntity(s.Entity).noteSpawned(s.ID, id); err != nil {
		e.h.say(slog.LevelWarn, "a takeover in this moment might not find what was started", "entity", e.name, "cause", err)
	}
	e.h.event(core.Event{Spawned: &core.Spawned{ID: s.ID, PID: id.PID, Start: id.Start}})
	// Only now, so that nobody hears of its end or its readiness before he has heard of it.
	e.observe(id, pidfd, true)
	if e.notifier != nil {
		e.notifier.listenTo(speaker{uid: p.note.UID, group: id.PID}, s.Command.FDStore)
	}
}

// spawnedBefore goes on with the process that was started under this ID, if it lives. It reports whether there is one.
func (e *entity) spawnedBefore(s core.Spawn) bool {
	id, ok := e.h.findSpawned(s.ID)
	if !ok {
		id, ok = e.h.placeOfEntity(s.Entity).spawned(s.ID)
	}
	if !ok {
		return false
	}
	pidfd, id, err := openPidfd(id) // first, so that nothing of its end is missed
	if errors.Is(err, proc.ErrGone) {
		return false
	}
	if err != nil {
		e.failed(s, err)
		return true
	}
	e.h.event(core.Event{Spawned: &core.Spawned{ID: s.ID, PID: id.PID, Start: id.Start}})
	e.observe(id, pidfd, false)
	e.adopt(id.PID, s.Notify)
	return true
}

// observe has the end of a process told. It takes over the pidfd.
func (e *entity) observe(id proc.ID, pidfd int, child bool) {
	e.process = id
	var err error
	if e.watched, err = e.h.watcher.watch(id, pidfd, child, e.exited(id)); err != nil {
		e.later(id, child, err)
	}
}

// laterPause is between two attempts to watch a process.
const laterPause = time.Second

// later tries again to watch a process, for want of descriptors say: to call it dead would have it started twice.
func (e *entity) later(id proc.ID, child bool, err error) {
	e.h.say(slog.LevelError, "a process cannot be watched at present", "entity", e.name, "pid", id.PID, "error", err)
	e.h.go_(func() {
		if sleep(e.h.ctx, laterPause) == nil {
			e.h.lanes.do(e.name, func() { e.again(id, child) })
		}
	})
}

func (e *entity) again(id proc.ID, child bool) {
	if e.process == id && e.watched == nil {
		e.find(id, child)
	}
}

// find watches a process that may have ended.
func (e *entity) find(id proc.ID, child bool) {
	pidfd, _, err := openPidfd(id)
	switch {
	case err == nil:
		e.observe(id, pidfd, child)
	case errors.Is(err, proc.ErrGone):
		e.process = id
		e.exited(id)(exit{})
	default:
		e.process = id
		e.later(id, child, err)
	}
}

// start starts a process; not too many at once.
func (h *Hands) start(l *launch) (proc.ID, int, error) {
	select {
	case h.forks <- struct{}{}:
	case <-h.ctx.Done():
		return proc.ID{}, -1, errClosed
	}
	defer func() { <-h.forks }()
	return l.start()
}

// failed tells that nothing was started, and whether that may pass.
func (e *entity) failed(s core.Spawn, err error) {
	retry := false
	for _, passing := range []error{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.ETXTBSY, unix.EADDRINUSE, os.ErrDeadlineExceeded} {
		retry = retry || errors.Is(err, passing)
	}
	e.h.event(core.Event{Spawned: &core.Spawned{ID: s.ID, Err: err.Error(), Retry: retry}})
}

// exited returns what is called when the process has ended.
func (e *entity) exited(id proc.ID) func(exit) {
	group := e.group
	return func(x exit) {
		if group && id.PID > 1 {
			_ = unix.Kill(-id.PID, unix.SIGKILL) // its number is not anybody else's as long as one of them is there
		}
		e.h.event(core.Event{Exited: &core.Exited{Entity: e.name, PID: id.PID, Start: id.Start, Exit: x.event()}})
	}
}

// watch watches a process that was not spawned by this call.
func (e *entity) watch(w core.Watch) {
	e.leave()
	e.group = w.Group
	e.find(proc.ID{PID: w.PID, Start: w.Start}, false)
	if w.Adopted || w.Notify {
		e.adopt(w.PID, w.Notify)
	}
}

// adopt rebuilds what a HAM before this one had set up around a process. Its output is read on already.
func (e *entity) adopt(pid int, notify bool) {
	n, err := e.h.placeOfEntity(e.name).read()
	if err != nil {
		n.UID = uint32(os.Geteuid())
	}
	e.owner = n.As
	if !notify {
		return
	}
	if err := e.openNotifier(n.UID); err != nil {
		e.h.say(slog.LevelError, "a process is not listened to", "entity", e.name, "error", err)
		return
	}
	group, err := unix.Getpgid(pid)
	if err != nil {
		group = pid
	}
	e.notifier.listenTo(speaker{uid: n.UID, group: group}, n.FDStore)
}

// openNotifier makes sure that the entity has a notification socket that a program of this user can reach.
func (e *entity) openNotifier(uid uint32) (err error) {
	if e.notifier != nil && e.notifier.addr == e.h.notifyAddr(e.name, uid) {
		return nil
	}
	if e.notifier != nil {
		e.notifier.close()
		e.h.held.drop(notifyKey(e.name))
	}
	e.notifier, err = e.h.newNotifier(e.name, uid)
	return err
}

// unwatch ends the watch of a process or pair, which goes on.
func (e *entity) unwatch() {
	e.leave()
	e.h.pairs.unwatch(e.name)
}

// groupPatience is how long what was killed in a process group may take to go, and its parents to take note.
const groupPatience = time.Second

// awaitGroup waits until nothing is left of the process group of a process that has ended.
func awaitGroup(ctx context.Context, group int) {
	for end := monotonic() + groupPatience; group > 1 && unix.Kill(-group, 0) == nil && monotonic() < end; {
		if sleep(ctx, time.Millisecond) != nil {
			return
		}
	}
}

// leave ends the watch of a process.
func (e *entity) leave() {
	e.process = proc.ID{}
	if e.watched != nil {
		e.watched.drop()
		e.watched = nil
	}
	if e.notifier != nil {
		e.notifier.pause()
	}
}

// forget lets go of all that was held for the entity.
func (e *entity) forget() {
	e.unwatch()
	e.h.beats.unwatch(e.name)
	e.h.samples.set(core.Sample{Target: core.Target{Entity: e.name}})
	e.release()
	e.h.held.drop(notifyKey(e.name))
	for _, key := range e.h.storedKeys(e.name) {
		e.h.held.drop(key)
	}
	for _, key := range e.h.held.keys(e.name, "listen") {
		e.h.unlisten(key, e.owner)
	}
	e.h.streams.abandon(e.h.placeOfEntity(e.name))
	e.h.mu.Lock()
	defer e.h.mu.Unlock()
	delete(e.h.entities, e.name)
}

// release gives up what is this process's alone.
func (e *entity) release() {
	if e.watched != nil {
		e.watched.drop()
	}
	if e.notifier != nil {
		e.notifier.close()
	}
	e.watched, e.notifier = nil, nil
}
