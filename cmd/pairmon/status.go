package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

func newStatus(g *global) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the pairs of this host and the entities of HAM, or one of them",
		Long: "Show the pairs of this host and the entities of HAM, or one of them. No pair is asked: what it has published is read, and the\n" +
			"kernel says which of its processes live. So it is true even when nobody answers. HAM is asked, and not waited for.",
		Args:              takes(0, 1, "the NAME of a pair or an entity, or nothing for all"),
		ValidArgsFunction: g.completeBoth,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			s := survey(root, args)
			s.askHAM(g, args)
			s.settle(args)
			if asJSON {
				err = s.writeJSON(cmd.OutOrStdout())
			} else {
				err = s.writeTable(cmd.OutOrStdout(), time.Now())
			}
			return errors.Join(append(s.unread, err)...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return g.asksHAM(cmd)
}

// pairState is what a pair is, judged by its page and by which of its processes live.
type pairState string

const (
	stateProtected   pairState = "protected"   // a backup holds the whole state
	stateUnprotected pairState = "unprotected" // it serves, but the next death ends it
	stateTakingOver  pairState = "taking over" // the primary is dead, the backup has not published yet
	stateDown        pairState = "down"        // no process of the page lives
	stateStopped     pairState = "stopped"     // on purpose
)

// pairStatus is a published page and what the kernel says about it. Its JSON form is the page's with the fields below.
type pairStatus struct {
	registry.Page
	State   pairState     `json:"state"`
	Primary *memberStatus `json:"primary"`
	Backup  *memberStatus `json:"backup"`
}

type memberStatus struct {
	registry.Member
	Alive bool `json:"alive"`
}

// surveyed is all that there is to show.
type surveyed struct {
	root     string
	Pairs    []pairStatus   `json:"pairs"`
	HAM      *hamStatus     `json:"ham"`      // nil: none runs
	Entities []entityStatus `json:"entities"` // that HAM watches
	Errors   []string       `json:"errors,omitempty"`
	unread   []error        // pages that cannot be read, and why HAM does not answer
}

// fail notes what could not be shown.
func (s *surveyed) fail(err error) { s.unread = append(s.unread, err) }

// settle makes up the errors. A name that is an entity need not be a pair.
func (s *surveyed) settle(names []string) {
	if len(names) > 0 && len(s.Entities) > 0 {
		s.unread = slices.DeleteFunc(s.unread, func(err error) bool { return errors.Is(err, registry.ErrNoPair) || errors.Is(err, registry.ErrBadName) })
	}
	for _, err := range s.unread {
		s.Errors = append(s.Errors, err.Error())
	}
}

// survey reads one pair, or all.
func survey(root string, names []string) surveyed {
	s := surveyed{root: root, Pairs: []pairStatus{}, Entities: []entityStatus{}}
	var pages []registry.Page
	if len(names) == 0 {
		pages, s.unread = registry.List(root)
	}
	for _, name := range names {
		p, err := registry.Read(root, name)
		if err != nil {
			s.fail(err)
			continue
		}
		pages = append(pages, p)
	}
	for _, p := range pages {
		s.Pairs = append(s.Pairs, judge(p, proc.ID.Alive))
	}
	return s
}

// judge says what a pair is. A recycled pid is no member: alive is asked with the start time.
func judge(p registry.Page, alive func(proc.ID) bool) pairStatus {
	s := pairStatus{Page: p, Primary: member(p.Primary, alive), Backup: member(p.Backup, alive)}
	primary, backup := s.Primary != nil && s.Primary.Alive, s.Backup != nil && s.Backup.Alive && s.Backup.Synchronised
	switch {
	case primary && backup:
		s.State = stateProtected
	case primary:
		s.State = stateUnprotected
	case backup:
		s.State = stateTakingOver
	case p.Stopped:
		s.State = stateStopped
	default:
		s.State = stateDown
	}
	if s.Page.Notice == nil {
		s.Page.Notice = []string{}
	}
	return s
}

func member(m *registry.Member, alive func(proc.ID) bool) *memberStatus {
	if m == nil {
		return nil
	}
	return &memberStatus{Member: *m, Alive: alive(proc.ID{PID: m.PID, Start: m.Start})}
}

func (s *surveyed) writeJSON(w io.Writer) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("cannot encode the status: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
