package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// writeTable shows everything to a person.
func (s *surveyed) writeTable(w io.Writer, now time.Time) error {
	switch {
	case len(s.Pairs) > 0:
		if err := s.writePairs(w, now); err != nil {
			return err
		}
		if s.HAM != nil {
			fmt.Fprintln(w)
		}
	case len(s.unread) == 0 && s.HAM == nil: // otherwise the errors, or HAM, say more
		fmt.Fprintf(w, "no pairs under %s\n", s.root)
	}
	return s.writeEntities(w)
}

func (s *surveyed) writePairs(w io.Writer, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tPRIMARY\tBACKUP\tAGE\tEPOCH\tTAKEOVERS\tSWITCHES\tREQUESTS\tNOTICE")
	for i := range s.Pairs {
		p := &s.Pairs[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", p.Name, p.stateText(now), p.Primary.text(), p.Backup.text(),
			p.age(now), p.Epoch, p.Takeovers, p.Switches, p.Requests, cmp.Or(strings.Join(p.Notice, ", "), "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range s.Pairs {
		p := &s.Pairs[i]
		if last := p.LastTakeover; last != nil {
			fmt.Fprintf(w, "\n%s: %s\n", p.Name, takeoverText(last, now))
		}
		if text := p.programText(); text != "" {
			fmt.Fprintf(w, "\n%s: %s\n", p.Name, text)
		}
	}
	return nil
}

// programText tells of two programs in one pair, and of one that is about to replace another.
func (p *pairStatus) programText() string {
	switch {
	case p.Primary == nil || !p.Primary.Alive:
		return ""
	case p.Upgrade != "":
		return "is being upgraded to " + p.Upgrade
	case p.Backup != nil && p.Backup.Alive && p.Backup.Differs:
		return fmt.Sprintf("the backup runs %s, the primary %s, or in another mode; an upgrade makes them equal", p.Backup.Program, p.Primary.Program)
	}
	return ""
}

func (p *pairStatus) stateText(now time.Time) string {
	switch {
	case p.State == stateUnprotected && p.UnprotectedSince != nil:
		return fmt.Sprintf("UNPROTECTED for %s", since(*p.UnprotectedSince, now))
	case p.State == stateProtected || p.State == stateStopped:
		return string(p.State)
	}
	return strings.ToUpper(string(p.State))
}

// age is how long the primary has been primary. Of a pair without one it is how long ago it was last heard of.
func (p *pairStatus) age(now time.Time) string {
	if p.Primary != nil && p.Primary.Alive {
		return since(p.Primary.Since, now)
	}
	return since(p.UpdatedAt, now) + " ago"
}

func (m *memberStatus) text() string {
	switch {
	case m == nil:
		return "-"
	case !m.Alive:
		return fmt.Sprintf("%d (dead)", m.PID)
	case !m.Synchronised:
		return fmt.Sprintf("%d (filling)", m.PID)
	}
	return fmt.Sprint(m.PID)
}

// takeoverText tells of a takeover. The phases are counted from its notice.
func takeoverText(t *registry.Takeover, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "last takeover %s ago, epoch %d, cause: %s (%s), %d records drained", since(t.At, now), t.Epoch, t.Cause, t.Evidence, t.Records)
	sep := "\n  after its notice: "
	for _, p := range phasesOf(t) {
		if p.at > 0 {
			fmt.Fprintf(&b, "%s%s %s", sep, p.name, ms(p.at))
			sep = ", "
		}
	}
	return b.String()
}

// since is an age in the unit that a person would choose.
func since(at, now time.Time) string {
	d := max(now.Sub(at), 0)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// ms shows a short time.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
