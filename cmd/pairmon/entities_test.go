package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
)

func TestTheTableOfEntitiesReadsWell(t *testing.T) {
	t.Parallel()
	now := time.Hour
	records := []*ham.Record{
		{Name: "db", Kind: ham.Attached, Process: ham.Process{Phase: ham.Running, PID: 12, Since: now - 90*time.Second, Ready: true},
			Restarts: 2, Deaths: 2, LastExit: &ham.Exit{Known: true, Code: 3}, Status: "warm\x1b[2J"},
		{Name: "web", Kind: ham.SelfAttached, Process: ham.Process{Phase: ham.Running, PID: 13, Since: now}, Entered: true, State: 0},
		{Name: "bank", Kind: ham.Attached, Process: ham.Process{Phase: ham.Running, PID: 14, Since: now, Ready: true},
			Pair: &ham.Pair{Members: []ham.PairMember{{PID: 14}, {PID: 15}}}, Disabled: true},
		{Name: "till", Kind: ham.Placeholder, Process: ham.Process{Phase: ham.Failed}, Deaths: 11, LastExit: &ham.Exit{Known: true, Signal: 11, Core: true}},
		{Name: "name", Kind: ham.Placeholder},
	}
	records[1].Pulse.State = ham.MissedLow
	s := surveyed{HAM: &hamStatus{PID: 1, GuardianPID: 2}}
	for _, r := range records {
		s.Entities = append(s.Entities, entityOf(r, now))
	}
	var b bytes.Buffer
	require.NoError(t, s.writeEntities(&b))
	require.Equal(t, `HAM: process 1, guardian 2
ENTITY  STATE                        PROCESS  UP     HEARTBEAT  RESTARTS  DEATHS  LAST EXIT                 STATUS
db      running                      12       1m30s  none       2         2       status 3                  warm?[2J
web     running, not ready, state 0  13       0s     missedlow  0         0       -                         -
bank    running, disabled            14+15    0s     none       0         0       -                         -
till    FAILED                       -        -      none       0         11      SIGSEGV with a core file  -
name    placeholder                  -        -      none       0         0       -                         -
`, b.String())

	b.Reset()
	s = surveyed{HAM: &hamStatus{PID: 1, Stopping: true}}
	require.NoError(t, s.writeEntities(&b))
	require.Equal(t, "HAM: process 1, no guardian, is stopping everything\n", b.String())
}

func TestAHappeningIsOneLine(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.Local)
	for want, h := range map[string]ham.Happening{
		"2026-01-02 03:04:05.678 cache died (process 7), SIGKILL":           {Entity: "cache", What: ham.HasDied, PID: 7, Exit: &ham.Exit{Known: true, Signal: 9}},
		"2026-01-02 03:04:05.678 cache died (process 7), nobody knows how":  {Entity: "cache", What: ham.HasDied, PID: 7, Exit: &ham.Exit{}},
		"2026-01-02 03:04:05.678 HAM takeover":                              {What: ham.HasTakenOver},
		"2026-01-02 03:04:05.678 a/b/c action failed: status 1?and so on":   {Entity: "a", Condition: "b", Action: "c", What: ham.HasFailed, Text: "status 1\nand so on"},
		"2026-01-02 03:04:05.678 cache died (process 7), signal 64: no end": {Entity: "cache", What: ham.HasDied, PID: 7, Exit: &ham.Exit{Known: true, Signal: 64}, Text: "no end"},
	} {
		h.Wall = at.UnixNano()
		require.Equal(t, want, happeningText(&h))
	}
}
