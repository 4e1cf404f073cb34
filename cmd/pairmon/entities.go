package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
)

// hamWithin bounds what the status asks HAM.
const hamWithin = 3 * time.Second

// hamStatus is what HAM tells of itself.
type hamStatus struct {
	PID              int    `json:"pid"`
	GuardianPID      int    `json:"guardian_pid"` // 0: none at present
	Failures         uint64 `json:"failures"`     // of HAM: its guardian took over
	GuardianFailures uint64 `json:"guardian_failures"`
	Stopping         bool   `json:"stopping"`
}

// entityStatus is what a person, or a program that alarms one, wants to know of an entity. `pairmon cat NAME/.info.json` has the rest.
type entityStatus struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Phase     string    `json:"phase"`
	Ready     bool      `json:"ready"`
	Disabled  bool      `json:"disabled"`
	PID       int       `json:"pid"`        // 0: it has no process
	UpSeconds float64   `json:"up_seconds"` // of the process
	Heartbeat string    `json:"heartbeat"`
	State     *int64    `json:"state"`  // that it has reported
	Status    string    `json:"status"` // its own words
	Restarts  uint64    `json:"restarts"`
	Deaths    uint64    `json:"deaths"`
	LastExit  *ham.Exit `json:"last_exit"`
	Pair      *ham.Pair `json:"pair"`
	Owner     uint32    `json:"owner"`
}

// askHAM adds what HAM tells, if there is one. Of the names only those stay that are entities; none: all.
func (s *surveyed) askHAM(g *global, names []string) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), hamWithin, fmt.Errorf("HAM did not answer within %v", hamWithin))
	defer cancel()
	err := g.onHAM(ctx, func(ctx context.Context, c *ham.Client) error {
		root, err := c.Root(ctx)
		if err != nil {
			return err
		}
		s.HAM = &hamStatus{PID: root.PID, GuardianPID: root.GuardianPID, Failures: root.Failures, GuardianFailures: root.GuardianFailures, Stopping: root.Stopping}
		all, err := c.Records(ctx)
		for _, r := range all {
			if r.Kind != ham.GlobalEntity && (len(names) == 0 || r.Name == names[0]) {
				s.Entities = append(s.Entities, entityOf(r, monotonic()))
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, ham.ErrNoHAM) {
		s.fail(err)
	}
}

func entityOf(r *ham.Record, now time.Duration) entityStatus {
	p := &r.Process
	e := entityStatus{Name: r.Name, Kind: r.Kind.String(), Phase: p.Phase.String(), Ready: p.Ready && p.PID != 0, Disabled: r.Disabled, PID: p.PID,
		Heartbeat: r.Pulse.State.String(), Status: r.Status, Restarts: r.Restarts, Deaths: r.Deaths, LastExit: r.LastExit, Pair: r.Pair, Owner: r.Owner.UID}
	if p.PID != 0 {
		e.UpSeconds = max(now-p.Since, 0).Seconds()
	}
	if r.Entered {
		e.State = &r.State
	}
	return e
}

// monotonic is the clock by which HAM tells since when a process runs.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail
	return time.Duration(t.Nano())
}

// writeEntities shows HAM and its entities to a person.
func (s *surveyed) writeEntities(w io.Writer) error {
	if s.HAM == nil {
		return nil
	}
	guardian := "no guardian"
	if s.HAM.GuardianPID != 0 {
		guardian = fmt.Sprintf("guardian %d", s.HAM.GuardianPID)
	}
	fmt.Fprintf(w, "HAM: process %d, %s", s.HAM.PID, guardian)
	if s.HAM.Stopping {
		fmt.Fprint(w, ", is stopping everything")
	}
	fmt.Fprintln(w)
	if len(s.Entities) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ENTITY\tSTATE\tPROCESS\tUP\tHEARTBEAT\tRESTARTS\tDEATHS\tLAST EXIT\tSTATUS")
	for i := range s.Entities {
		e := &s.Entities[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", printable(e.Name), e.stateText(), e.processText(), e.upText(),
			strings.ToLower(e.Heartbeat), e.Restarts, e.Deaths, e.exitText(), cmp.Or(printable(e.Status), "-"))
	}
	return t.Flush()
}

// stateText is in capitals what somebody should look at.
func (e *entityStatus) stateText() string {
	text := e.Phase
	switch {
	case e.Kind == ham.Placeholder.String() && e.Phase == ham.Idle.String():
		text = "placeholder"
	case e.Phase == ham.Failed.String():
		text = strings.ToUpper(text)
	case e.PID != 0 && !e.Ready:
		text += ", not ready"
	}
	if e.State != nil {
		text += fmt.Sprintf(", state %d", *e.State)
	}
	if e.Disabled {
		text += ", disabled"
	}
	return text
}

// processText is the process, or those of a pair, primary first.
func (e *entityStatus) processText() string {
	if e.Pair != nil && len(e.Pair.Members) > 0 {
		var all []string
		for _, m := range e.Pair.Members {
			all = append(all, fmt.Sprint(m.PID))
		}
		return strings.Join(all, "+")
	}
	if e.PID == 0 {
		return "-"
	}
	return fmt.Sprint(e.PID)
}

func (e *entityStatus) upText() string {
	if e.PID == 0 {
		return "-"
	}
	return time.Duration(e.UpSeconds * float64(time.Second)).Round(time.Second).String()
}

func (e *entityStatus) exitText() string {
	if e.LastExit == nil {
		return "-"
	}
	return exitText(e.LastExit)
}
