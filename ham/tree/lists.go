package tree

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// chronicle is a page of what has happened, a line each, oldest first.
type chronicle []core.Happening

func (c chronicle) text() []byte {
	var b bytes.Buffer
	for i := range c {
		h := &c[i]
		words := []string{stamp(wall(h.Wall))}
		if p := (core.Path{Entity: h.Entity, Condition: h.Condition, Action: h.Action}).String(); p != "" {
			words = append(words, p)
		}
		words = append(words, string(h.What))
		if h.PID != 0 {
			words = append(words, fmt.Sprintf("pid %d", h.PID))
		}
		if h.Exit != nil {
			words = append(words, exitWords(h.Exit))
		}
		if h.Text != "" {
			words = append(words, oneLine(h.Text))
		}
		b.WriteString(strings.Join(words, "  ") + "\n")
	}
	return b.Bytes()
}

func (c chronicle) json() []byte { return indented(append([]core.Happening{}, c...)) }

// queue is a page of the action lists in flight.
type queue []core.Job

func (q queue) text() []byte {
	var pages [][]byte
	for i := range q {
		pages = append(pages, jobPage(&q[i]).text())
	}
	return bytes.Join(pages, []byte("\n"))
}

func (q queue) json() []byte {
	pages := []sheet{}
	for i := range q {
		pages = append(pages, jobPage(&q[i]))
	}
	return indented(pages)
}

// jobPage is about one list.
func jobPage(j *core.Job) sheet {
	state := "WAITING" // for its lane
	switch {
	case j.Aside:
		state = "ASIDE"
	case j.Effect != 0 || j.Until != 0:
		state = "RUNNING"
	}
	path := j.Path
	var left []string
	for i := j.Step; i < len(j.Actions); i++ {
		left = append(left, j.Actions[i].Spec.Name)
	}
	var failing any
	if len(left) > 0 {
		path.Action = left[0]
		if fails := j.Actions[j.Step].Spec.OnFail; j.Failing > 0 && j.Failing <= len(fails) {
			failing = fails[j.Failing-1].Name
		}
	}
	return sheet{
		{"Path", path.String()}, {"List", j.ID}, {"State", state}, {"Lane", j.Lane.Class.String()}, {"Step", j.Step + 1}, {"Num Actions", len(j.Actions)},
		{"Queue", left}, {"Fail Action", failing}, {"Cause", conditionType(j.Cause.Type)}, {"Cause Entity", j.Cause.Entity}, {"Cause Pid", j.Cause.PID},
		{"Cause Seq", j.Cause.Seq}, {"Cause Time", wall(j.Cause.Wall)}, {"Raises", j.Depth}, {"Owner", ownerOf(j.Owner)},
	}
}
