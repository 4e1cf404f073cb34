package pair

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// Members that run different programs: neighbouring versions, while one replaces the other (upgrade.go) or because
// somebody has started the other half by hand. They understand each other's messages, number the state each in its own
// way, and do not rely on the other to compute what they compute themselves.

// joinVersion is the version of what members say to each other. A member understands its neighbours too: what is added
// is a field with a name, bytes behind those that are there, or a new kind of frame or record, which is not written to
// an older neighbour.
const joinVersion = 1

// speak returns the version in which members of two versions speak: the lower one, if they are neighbours.
func speak(mine, theirs int) (int, error) {
	if theirs < max(mine-1, 1) || theirs > mine+1 {
		return 0, fmt.Errorf("version %d, expected %d or a neighbour: %w", theirs, mine, ErrVersion)
	}
	return min(mine, theirs), nil
}

// program is what a member knows of the other's program.
type program struct {
	version int    // in which the two speak
	build   string // see buildOf
	path    string // for people
}

// buildOf names what this process computes with: the file that it runs, which cannot be written to as long as it runs,
// and its mode. Empty: it cannot be told.
func buildOf(mode Mode) string {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &st); err != nil {
		return ""
	}
	return buildOfFile(&st) + " " + mode.String()
}

func buildOfFile(st *unix.Stat_t) string { return fmt.Sprintf("%x:%x", st.Dev, st.Ino) }

// alike tells whether the other member computes as this one does.
func (m *member) alike() bool {
	return m.link != nil && m.link.other.build != "" && m.link.other.build == m.upgrades.build
}

// bothCompute tells whether both members run the handlers. One of another program might come to another result: it gets
// changes and replies in every mode.
func (s *Service) bothCompute() bool { return s.cfg.Mode != PrimaryComputes && s.m.alike() }

// schemaMost is how long a schema may be to travel with the wish to join. A longer one is only read in the log.
const schemaMost = wire.MaxBody / 2

func (s *Service) schema() []byte {
	if b := s.store.Schema(); len(b) <= schemaMost {
		return b
	}
	return nil
}

func (s *Service) readable(schema []byte) error { return s.store.Readable(schema) }

// writeSchema tells the backup how this member numbers the parts of the state.
func (s *Service) writeSchema() {
	schema := s.store.Schema()
	if b := s.m.reserve(kindSchema, len(schema)); b != nil {
		copy(b, schema)
	}
}

// lead makes this member the one that numbers the parts. After a switch the other holds the state already, and is told
// in the first record of the new log.
func (s *Service) lead() {
	_ = s.store.Bind(nil) // cannot fail
	if s.m.writing() {
		s.writeSchema()
	}
}

// applySchema is what the backup is told by that. One that has handed over may know less than the new primary, and keeps
// what it does not know; one that is yet to be filled must know everything, for it is to hold it.
func (s *Service) applySchema(b []byte) error {
	if s.m.whole {
		return s.store.Follow(b)
	}
	return s.store.Bind(b)
}
