package fault

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// group is a control group with a limit of memory: whoever takes more in it is killed by the kernel.
type group struct{ path string }

// Unable says why a kind of fault cannot be done here; "": it can.
func Unable(kind Kind) string {
	if kind != OOMKill {
		return ""
	}
	g, err := newGroup(exhaustMiB)
	if err == nil {
		err = g.remove()
	}
	if err != nil {
		return fmt.Sprintf("not run: no control group with a limit of memory can be made here: %v", err)
	}
	return ""
}

// newGroup makes one in the first hierarchy that controls memory and lets us: version 2, else version 1.
func newGroup(limitMiB int) (*group, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	err = errors.New("no control groups are mounted")
	for _, h := range hierarchies(string(mounts), string(own)) {
		var g *group
		if g, err = h.make(limitMiB); err == nil {
			return g, nil
		}
	}
	return nil, err
}

// hierarchy is a tree of control groups that may limit memory.
type hierarchy struct {
	parents []string // where to try
	limit   string   // name of the file that holds the limit
	swap    string   // and of the one for memory with swap, or swap alone
	noSwap  string   // what to write there; "": the limit
	v2      bool
}

// hierarchies finds them in what /proc/self/mountinfo and /proc/self/cgroup say.
func hierarchies(mounts, own string) (all []hierarchy) {
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if len(place) < 5 || len(kind) < 3 {
			continue
		}
		switch at := place[4]; {
		case kind[0] == "cgroup2":
			h := hierarchy{parents: places(at, own, "0::"), limit: "memory.max", swap: "memory.swap.max", noSwap: "0", v2: true}
			all = append([]hierarchy{h}, all...)
		case kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "memory"):
			all = append(all, hierarchy{parents: places(at, own, ":memory:"), limit: "memory.limit_in_bytes", swap: "memory.memsw.limit_in_bytes"})
		}
	}
	return all
}

// places are this process's own group, and the root.
func places(mount, own, key string) (all []string) {
	for line := range strings.Lines(own) {
		if _, path, ok := strings.Cut(strings.TrimSpace(line), key); ok && (key != "0::" || strings.HasPrefix(line, key)) {
			all = append(all, filepath.Join(mount, path))
		}
	}
	return append(all, mount)
}

func (h *hierarchy) make(limitMiB int) (*group, error) {
	var failed error
	for _, parent := range h.parents {
		if h.v2 {
			if b, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers")); err != nil || !slices.Contains(strings.Fields(string(b)), "memory") {
				failed = cmp.Or(err, fmt.Errorf("%s does not control memory", parent))
				continue
			}
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0) // it may be so already
		}
		g := &group{filepath.Join(parent, fmt.Sprintf("tandem-bench-%d-%d", os.Getpid(), time.Now().UnixNano()))}
		if failed = g.create(h, limitMiB); failed == nil {
			return g, nil
		}
	}
	return nil, failed
}

func (g *group) create(h *hierarchy, limitMiB int) error {
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return err
	}
	bytes := strconv.Itoa(limitMiB << 20)
	if err := g.write(h.limit, bytes); err != nil {
		return errors.Join(err, os.Remove(g.path))
	}
	if h.noSwap != "" {
		bytes = h.noSwap
	}
	if err := g.write(h.swap, bytes); err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without swap has no such file
		return errors.Join(err, os.Remove(g.path))
	}
	return nil
}

func (g *group) write(file, text string) error {
	f, err := os.OpenFile(filepath.Join(g.path, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// add moves a process into the group. What memory it has stays where it was counted.
func (g *group) add(pid int) error { return g.write("cgroup.procs", strconv.Itoa(pid)) }

// removeWithin is how long the processes of a group may take to be gone.
const removeWithin = 5 * time.Second

// remove waits until the processes in it are gone.
func (g *group) remove() error {
	for until := time.Now().Add(removeWithin); ; time.Sleep(time.Millisecond) {
		err := os.Remove(g.path)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(until) {
			return err
		}
	}
}
