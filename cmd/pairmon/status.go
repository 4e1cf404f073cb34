package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

func newStatus(g *global) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the pairs of this host, or one of them",
		Long: "Show the pairs of this host, or one of them. Nobody is asked: what a pair has published is read, and the\n" +
			"kernel says which of its processes live. So it is true even when nobody answers.",
		Args: takes(0, 1, "the NAME of a pair, or nothing for all"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			s := survey(root, args)
			if asJSON {
				err = s.writeJSON(cmd.OutOrStdout())
			} else {
				err = s.writeTable(cmd.OutOrStdout(), time.Now())
			}
			return errors.Join(append(s.unread, err)...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
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
	root   string
	Pairs  []pairStatus `json:"pairs"`
	Errors []string     `json:"errors,omitempty"` // pages that cannot be read
	unread []error
}

// survey reads one pair, or all.
func survey(root string, names []string) surveyed {
	s := surveyed{root: root, Pairs: []pairStatus{}}
	var pages []registry.Page
	if len(names) == 0 {
		pages, s.unread = registry.List(root)
	}
	for _, name := range names {
		p, err := registry.Read(root, name)
		if err != nil {
			s.unread = append(s.unread, err)
			continue
		}
		pages = append(pages, p)
	}
	for _, err := range s.unread {
		s.Errors = append(s.Errors, err.Error())
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
