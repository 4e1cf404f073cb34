package hands

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// place is where the pipe, the notification socket and the note of one program lie: a directory. Whoever is HAM next finds
// them there.
type place string

const (
	pipeFile   = "pipe"
	noteFile   = "note"
	notifyFile = "notify"
	lastFile   = "spawned"

	entityPrefix  = "e-"
	commandPrefix = "c-"
)

// note says about a program what is needed after a takeover, and what nothing else tells then.
type note struct {
	Entity  string      `json:"entity"`
	Label   string      `json:"label"` // under which its output is logged
	Output  core.Output `json:"output"`
	As      core.Owner  `json:"as"`
	FDStore int         `json:"fd_store,omitempty"`
	UID     uint32      `json:"uid"` // as which it runs
}

func (h *Hands) placeOfEntity(name string) place {
	return place(filepath.Join(h.cfg.Dir, entityPrefix+fileName(name)))
}

func (h *Hands) placeOfCommand(id uint64) place {
	return place(filepath.Join(h.cfg.Dir, commandPrefix+strconv.FormatUint(id, 10)))
}

// fileName is a file name that stands for the name of an entity, which may hold anything but a slash and may be longer.
func fileName(name string) string {
	plain := strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
	if plain && len(name) <= 64 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "~" + hex.EncodeToString(sum[:16]) // no plain name begins so
}

func (p place) file(name string) string { return filepath.Join(string(p), name) }

// write makes the place if need be and leaves a note there: the old one or the new one, whoever dies meanwhile.
func (p place) write(n note) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(p.file(noteFile)); err == nil && string(old) == string(text) {
		return nil
	}
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(p.file(noteFile+".new"), text, 0o600); err != nil {
		return err
	}
	return os.Rename(p.file(noteFile+".new"), p.file(noteFile))
}

func (p place) read() (n note, err error) {
	text, err := os.ReadFile(p.file(noteFile))
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		return n, fmt.Errorf("cannot read what was noted: %w", err)
	}
	return n, nil
}

// noteSpawned leaves word of which process was started last, and under which ID: some programs overwrite the environment that they
// would be found by.
func (p place) noteSpawned(spawn uint64, id proc.ID) error {
	if err := os.WriteFile(p.file(lastFile), fmt.Appendln(nil, spawn, id.PID, id.Start), 0o600); err != nil {
		return fmt.Errorf("cannot note a start: %w", err)
	}
	return nil
}

// spawned returns the process that was started last, if it was under this ID.
func (p place) spawned(spawn uint64) (id proc.ID, ok bool) {
	text, err := os.ReadFile(p.file(lastFile))
	if err != nil {
		return id, false
	}
	var last uint64
	n, _ := fmt.Sscanf(string(text), "%d %d %d\n", &last, &id.PID, &id.Start)
	return id, n == 3 && last == spawn
}

func (p place) remove() { _ = os.RemoveAll(string(p)) }
