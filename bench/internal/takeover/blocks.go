package takeover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/pair"
)

// Names of the blocks.
const (
	ByWork     = "work"
	ByFault    = "fault"
	BySnapshot = "snapshot"
	ByState    = "state"
	ByMemory   = "memory"
	ByClients  = "clients"
)

// axes are the values along each axis.
type axes struct {
	works                      []time.Duration
	snapshots, states, memorys []int
	clients                    []int
	faultModes                 []string // modes in which every fault is done
	snapshotWork               time.Duration
}

func modes() (all []string) {
	for m := pair.PrimaryComputes; m <= pair.BackupEager; m++ {
		all = append(all, m.String())
	}
	return all
}

// Long are the blocks for figures to be quoted.
func Long() []Block {
	return axes{
		works:     []time.Duration{time.Microsecond, 10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond},
		snapshots: []int{10, 100, 1000, 10000}, snapshotWork: 10 * time.Microsecond,
		states: []int{1, 16, 64, 256, 1024}, memorys: []int{10, 64, 256, 1024, 4096}, clients: []int{1, 16, 1000},
		faultModes: modes(),
	}.blocks()
}

// Quick are blocks that show the same in half a minute.
func Quick() []Block {
	return axes{
		works:     []time.Duration{time.Microsecond, 100 * time.Microsecond, time.Millisecond},
		snapshots: []int{10, 1000}, snapshotWork: 10 * time.Microsecond,
		states: []int{1, 16}, memorys: []int{10, 512}, clients: []int{1, 1000},
		faultModes: modes()[:1],
	}.blocks()
}

// hangAfter is for the faults that are noticed by it: the shortest that can be chosen. Elsewhere it is the default, for on a starved
// machine a healthy primary may seem to hang.
const hangAfter = 250 * time.Millisecond

func (a axes) blocks() []Block {
	base := Base()
	byMode := func(cells []Cell) (all []Cell) {
		for _, c := range cells {
			all = append(all, vary(c, each(setMode, modes()...)...)...)
		}
		return all
	}
	lazy := base
	lazy.Mode, lazy.Work = pair.BackupLazy.String(), a.snapshotWork
	var faults, clients []Cell
	for _, c := range vary(base, each(setFault, fault.Kinds()...)...) {
		c.HangAfter = hangAfter
		faults = append(faults, vary(c, each(setMode, a.faultModes...)...)...)
	}
	for _, c := range vary(base, each(setConnection, subject.Requester, subject.Foreign, subject.Fresh)...) {
		clients = append(clients, vary(c, each(setClients, a.clients...)...)...)
	}
	return []Block{
		{ByWork, "Who computes: how long is the gap, by the work of a request?", byMode(vary(base, each(setWork, a.works...)...))},
		{ByFault, "How long is the gap after each kind of fault?", faults},
		{BySnapshot, "How long does a lazy backup replay, by the requests between two snapshots?", vary(lazy, each(setSnapshot, a.snapshots...)...)},
		{ByState, "Does the gap grow with the state, and how long is the pair unprotected?", vary(base, each(setState, a.states...)...)},
		{ByMemory, "Does the gap grow with the memory of the dying primary?", vary(base, each(setMemory, a.memorys...)...)},
		{ByClients, "What do few and many clients see, on each kind of connection?", clients},
	}
}

// Choose returns the blocks of these names, in their order; all if there are none.
func Choose(all []Block, names []string) ([]Block, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, b := range all {
		known = append(known, b.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown block %q: expected some of %s", name, strings.Join(known, ","))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(b Block) bool { return !slices.Contains(names, b.Name) }), nil
}
