package takeover

import (
	"fmt"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/pair"
)

// Cell is one combination of everything that is varied.
type Cell struct {
	Mode       string             `json:"mode"`           // that of the pair, see pair.Mode
	Work       time.Duration      `json:"work_ns"`        // computing of one request, about
	Snapshot   int                `json:"snapshot_every"` // requests; it bounds the backlog that BackupLazy replays
	State      int                `json:"state_mib"`
	Memory     int                `json:"memory_mib"` // of the primary, besides its state; 0: what it takes by itself
	Fault      fault.Kind         `json:"fault"`
	HangAfter  time.Duration      `json:"hang_after_ns"` // see pair.Config
	Clients    int                `json:"clients"`
	Connection subject.Connection `json:"connection"`
}

// Base is the cell that differs from every other in one axis only.
func Base() Cell {
	return Cell{Mode: pair.PrimaryComputes.String(), Work: 10 * time.Microsecond, Snapshot: 100, Fault: fault.Kill, HangAfter: time.Second, Clients: 16, Connection: subject.Requester}
}

// String names the cell by what it does not have in common with Base.
func (c Cell) String() string {
	b, parts := Base(), []string{c.Mode}
	add := func(differs bool, format string, args ...any) {
		if differs {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(true, "%v", c.Work)
	add(c.Snapshot != b.Snapshot, "snapshot every %d", c.Snapshot)
	add(c.State != b.State, "state %d MiB", c.State)
	add(c.Memory != b.Memory, "primary of %d MiB", c.Memory)
	add(true, "%s", c.Fault)
	add(c.Clients != b.Clients, "%d clients", c.Clients)
	add(c.Connection != b.Connection, "%s", c.Connection)
	return strings.Join(parts, ", ")
}

// needMiB is the memory that a fault of the cell takes.
func (c *Cell) needMiB() int { return c.Memory + c.Memory/8 + 4*c.State + 64 }

// rate is how many requests per second there are. Their work takes at most this part of one processor: clients, a backup that computes
// and the start of the next backup need the rest, and a queue before the fault would be measured with the gap.
func (c *Cell) rate(most float64) float64 {
	each := c.Work + perRequest
	if c.Connection == subject.Fresh {
		each = perConnect
	}
	return min(most, utilisation/each.Seconds())
}

const utilisation = .3

// What a request takes besides its work, about; and one with a connection of its own, on both sides.
const (
	perRequest = 20 * time.Microsecond
	perConnect = 300 * time.Microsecond
)

// Block is cells that take turns.
type Block struct {
	Name  string `json:"name"`
	Asks  string `json:"asks"` // what the block is for, as a question
	Cells []Cell `json:"-"`
}

// vary returns base with every change made to a copy of it.
func vary(base Cell, changes ...func(*Cell)) (cells []Cell) {
	for _, change := range changes {
		c := base
		change(&c)
		cells = append(cells, c)
	}
	return cells
}

// each makes a change of every value.
func each[T any](set func(*Cell, T), values ...T) (changes []func(*Cell)) {
	for _, v := range values {
		changes = append(changes, func(c *Cell) { set(c, v) })
	}
	return changes
}

func setMode(c *Cell, m string)                   { c.Mode = m }
func setWork(c *Cell, d time.Duration)            { c.Work = d }
func setSnapshot(c *Cell, n int)                  { c.Snapshot = n }
func setState(c *Cell, mib int)                   { c.State = mib }
func setMemory(c *Cell, mib int)                  { c.Memory = mib }
func setFault(c *Cell, k fault.Kind)              { c.Fault = k }
func setClients(c *Cell, n int)                   { c.Clients = n }
func setConnection(c *Cell, k subject.Connection) { c.Connection = k }
