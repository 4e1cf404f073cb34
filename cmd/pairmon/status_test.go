package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// publish makes a page, as a member would have.
func publish(t *testing.T, root, name string, p registry.Page) {
	t.Helper()
	d, err := registry.Open(root, name)
	require.NoError(t, err)
	require.NoError(t, d.Publish(p))
	require.NoError(t, d.Close())
}

func self(t *testing.T) proc.ID {
	t.Helper()
	id, err := proc.Self()
	require.NoError(t, err)
	return id
}

func TestAPairIsWhatItsProcessesAre(t *testing.T) {
	t.Parallel()
	dead, first, second := proc.ID{PID: 1, Start: 1}, proc.ID{PID: 2, Start: 2}, proc.ID{PID: 3, Start: 3}
	alive := func(id proc.ID) bool { return id == first || id == second }
	at := func(id proc.ID, synchronised bool) *registry.Member {
		return &registry.Member{PID: id.PID, Start: id.Start, Synchronised: synchronised}
	}
	for _, c := range []struct {
		what string
		page registry.Page
		want pairState
	}{
		{"both live", registry.Page{Primary: at(first, true), Backup: at(second, true)}, stateProtected},
		{"the backup is being filled", registry.Page{Primary: at(first, true), Backup: at(second, false)}, stateUnprotected},
		{"there is no backup", registry.Page{Primary: at(first, true)}, stateUnprotected},
		{"the backup is dead, which the primary has not said yet", registry.Page{Primary: at(first, true), Backup: at(dead, true)}, stateUnprotected},
		{"the primary is dead", registry.Page{Primary: at(dead, true), Backup: at(second, true)}, stateTakingOver},
		{"the primary is dead, the backup has half the state", registry.Page{Primary: at(dead, true), Backup: at(second, false)}, stateDown},
		{"both are dead", registry.Page{Primary: at(dead, true), Backup: at(dead, true)}, stateDown},
		{"a pid is another process now", registry.Page{Primary: &registry.Member{PID: first.PID, Start: 99}}, stateDown},
		{"it was stopped", registry.Page{Stopped: true}, stateStopped},
	} {
		require.Equal(t, c.want, judge(c.page, alive).State, c.what)
	}
}

func TestStatusJSONHasTheShapeThatIsPromised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me := self(t)
	at := time.Now().Add(-time.Minute)
	publish(t, w.dir, "bank", registry.Page{Instance: "abc", Epoch: 3, Takeovers: 2, Notice: []string{"robust futex"},
		Primary:      &registry.Member{PID: me.PID, Start: me.Start, Since: at, Synchronised: true},
		Backup:       &registry.Member{PID: me.PID, Start: me.Start, Since: at, Synchronised: true},
		LastTakeover: &registry.Takeover{Cause: "death", At: at, ServingUS: 120}})
	out, errs, status := w.pairmon(t, "status", "--json")
	require.Zero(t, status, errs)
	var got struct {
		Pairs []struct {
			Name, Instance, State string
			Epoch, Takeovers      int
			Primary               struct {
				PID   int
				Since time.Time
				Alive bool
			}
			Backup struct {
				PID          int
				Synchronised bool
			}
			UnprotectedSince *time.Time `json:"unprotected_since"`
			Notice           []string
			LastTakeover     struct {
				Cause     string
				ServingUS int `json:"serving_us"`
			} `json:"last_takeover"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Contains(t, out, `"unprotected_since":null`)
	require.Len(t, got.Pairs, 1)
	p := got.Pairs[0]
	require.Equal(t, "bank", p.Name)
	require.Equal(t, "abc", p.Instance)
	require.Equal(t, string(stateProtected), p.State)
	require.Equal(t, 3, p.Epoch)
	require.Equal(t, 2, p.Takeovers)
	require.Equal(t, me.PID, p.Primary.PID)
	require.True(t, p.Primary.Alive)
	require.True(t, p.Primary.Since.Equal(at))
	require.True(t, p.Backup.Synchronised)
	require.Equal(t, []string{"robust futex"}, p.Notice)
	require.Equal(t, "death", p.LastTakeover.Cause)
	require.Equal(t, 120, p.LastTakeover.ServingUS)
}

func TestStatusShowsWhatIsDownAndSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out, _, status := w.pairmon(t, "status")
	require.Zero(t, status)
	require.Equal(t, "no pairs under "+w.dir+"\n", out)
	out, _, status = w.pairmon(t, "status", "--json")
	require.Zero(t, status)
	require.Equal(t, `{"pairs":[],"ham":null,"entities":[]}`+"\n", out)

	me := self(t)
	recycled := &registry.Member{PID: me.PID, Start: me.Start + 1, Since: time.Now()} // this pid, but a process of before
	publish(t, w.dir, "gone", registry.Page{Primary: recycled, Backup: recycled})
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "broken"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "broken", "page"), bytes.Repeat([]byte("no page "), 2000), 0o600))

	out, errs, status := w.pairmon(t, "status")
	require.Equal(t, exitFailed, status, "what could not be shown is a failure")
	require.Regexp(t, `(?m)^gone +DOWN +\d+ \(dead\) +\d+ \(dead\) `, out)
	require.Contains(t, errs, `cannot read the page of "broken"`)
	require.Contains(t, errs, "damaged page")

	out, _, status = w.pairmon(t, "status", "--json", "--dir", w.dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, out, `"state":"down"`)
	require.Contains(t, out, `"errors":["cannot read the page`)

	out, _, status = w.pairmon(t, "status", "gone")
	require.Zero(t, status, "this one could be shown")
	require.Contains(t, out, "DOWN")
}

func TestStatusTableReadsWell(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	lost := ago(1500 * time.Millisecond)
	alive := func(id proc.ID) bool { return id.PID != 7 }
	s := surveyed{root: "/run/tandem", Pairs: []pairStatus{
		judge(registry.Page{Name: "bank", Epoch: 2, Requests: 12, Takeovers: 1, UnprotectedSince: &lost, Notice: []string{"robust futex", "socket"},
			Primary: &registry.Member{PID: 10, Since: ago(90 * time.Second), Synchronised: true}, Backup: &registry.Member{PID: 11},
			LastTakeover: &registry.Takeover{Epoch: 2, Cause: "death", Evidence: "robust futex", At: ago(90 * time.Second),
				SealedUS: 10, DrainedUS: 20, ServingUS: 150, Records: 3}}, alive),
		judge(registry.Page{Name: "till", UpdatedAt: ago(49 * time.Hour), Primary: &registry.Member{PID: 7, Synchronised: true}}, alive),
	}}
	var b bytes.Buffer
	require.NoError(t, s.writeTable(&b, now))
	require.Equal(t, `NAME  STATE               PRIMARY   BACKUP        AGE         EPOCH  TAKEOVERS  SWITCHES  REQUESTS  NOTICE
bank  UNPROTECTED for 2s  10        11 (filling)  1m30s       2      1          0         12        robust futex, socket
till  DOWN                7 (dead)  -             2 days ago  0      0          0         0         -

bank: last takeover 1m30s ago, epoch 2, cause: death (robust futex), 3 records drained
  after its notice: sealed 0.01 ms, drained 0.02 ms, serving 0.15 ms
`, b.String())
}
