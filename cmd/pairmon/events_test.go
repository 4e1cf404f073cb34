package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham"
)

// book collects what is printed.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *book) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *book) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestEventsAreFollowedAcrossTheDeathOfHAM(t *testing.T) {
	t.Parallel()
	h := serving(t, twoPrograms)
	h.runs("cache")
	out := &book{}
	follow := h.command(t, "events", "-f", "--json")
	follow.Stdout, follow.Stderr = out, out
	require.NoError(t, follow.Start())
	state := func(n int) {
		h.until("HAM takes a state", func() error {
			if _, errs, status := h.pairmon(t, "state", "disk", fmt.Sprint(n)); status != 0 {
				return errors.New(errs)
			}
			return nil
		})
	}
	state(1)
	h.kill(h.status().HAM.PID)
	state(2)
	h.until("HAM has a guardian again", func() error {
		if s := h.status(); s.HAM == nil || s.HAM.GuardianPID == 0 {
			return fmt.Errorf("%+v", s.HAM)
		}
		return nil
	})
	now := h.status().HAM
	h.kill(now.PID, now.GuardianPID)
	state(3)
	h.until("the last one is told", func() error {
		if !strings.Contains(out.String(), `"what":"state","pid":`) || strings.Count(out.String(), `"what":"state"`) < 3 {
			return errors.New(out.String())
		}
		return nil
	})
	require.NoError(t, follow.Process.Signal(unix.SIGINT))
	require.NoError(t, follow.Wait(), "to be interrupted is how it ends")
	var told []string
	for line := range strings.Lines(out.String()) {
		var x ham.Happening
		require.NoError(t, json.Unmarshal([]byte(line), &x), line)
		if x.What == ham.HasEntered {
			told = append(told, x.Text)
		}
	}
	require.Equal(t, []string{"1", "2", "3"}, told)
}
