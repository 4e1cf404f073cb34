package tree

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/ham/core"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each file of the sample tree, next to the others of its directory.
func TestEachKindOfFileReadsAsItShould(t *testing.T) {
	t.Parallel()
	tree := New(t.Context(), sample())
	is := map[string]*bytes.Buffer{}
	for _, p := range paths(tree) {
		name := strings.ReplaceAll(path.Dir(p), "/", "+") + ".golden"
		if is[name] == nil {
			is[name] = &bytes.Buffer{}
		}
		text, err := tree.ReadFile(p)
		require.NoError(t, err)
		is[name].WriteString("==> " + p + " <==\n")
		is[name].Write(text)
	}
	require.Contains(t, is, "inetd+death.golden")
	for name, text := range is {
		file := filepath.Join("testdata", strings.Replace(name, "..golden", "root.golden", 1))
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o777))
			require.NoError(t, os.WriteFile(file, text.Bytes(), 0o666))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err, "go test ./ham/tree -update writes it")
		require.Equal(t, string(want), text.String(), "%s; go test ./ham/tree -update writes it anew", file)
	}
}

func TestTheTreeIsAFileSystem(t *testing.T) {
	t.Parallel()
	tree := New(t.Context(), sample())
	require.NoError(t, fstest.TestFS(tree, ".info", ".info.json", "history", "history.json", "running", "running.json", "_global/all/.info", "history=/.info",
		"inetd/.info", "inetd/death/.info.json", "inetd/death/restart", "inetd/death/restart.json", "everything/state/data.json="))
}

// The names, the order and the words are those of QNX, as far as it has any.
func TestTheFieldsOfQNXComeFirst(t *testing.T) {
	t.Parallel()
	tree := New(t.Context(), sample())
	for file, want := range map[string][]string{
		".info":                  {"Ham Pid: 10993674", "Guardian Pid: 10997782", "Ham Failures: 1", "Guardian Failures: 0", "Num Entities: 5", "Num Conditions: 5", "Num Actions: 20"},
		"inetd/.info":            {"Path: inetd", "Entity Pid: 11014167", "Num conditions: 1", "Entity type: ATTACHED", "Stats:", "Created: 2001/08/30 23:04:49:930148650", "Num Restarts: 1"},
		"mutex-starvation/.info": {"Path: mutex-starvation", "Entity Pid: 753682", "Num conditions: 0", "Entity type: ATTACHEDSELF", "Stats:", "HeartBeat Period: 1000000000", "HB Low Mark: 5", "HB High Mark: 5", "Last Heartbeat: 2001/08/30 23:04:58:930148650", "HeartBeat State: MISSEDHIGH", "Created: 2001/08/30 23:04:49:930148650", "Num Restarts: 0"},
		"inetd/death/.info":      {"Path: inetd/death", "Entity Pid: 11014167", "Num Actions: 2", "Condition ReArm: ON", "Condition type: CONDDEATH"},
		"inetd/death/restart":    {"Path: inetd/death/restart", "Entity Pid: 11014167", "Action ReArm: ON", `Restart Line: /usr/sbin/inetd -D "two words"`},
	} {
		text, err := tree.ReadFile(file)
		require.NoError(t, err)
		lines := strings.Split(string(text), "\n")
		require.GreaterOrEqual(t, len(lines), len(want))
		for i, line := range want {
			name, value, ok := strings.Cut(line, ": ")
			if ok {
				line = name + strings.Repeat(" ", column-len(name)) + ": " + value
			}
			require.Equal(t, line, lines[i], "line %d of %s", i+1, file)
		}
	}
}

func TestModesAreThoseOfQNX(t *testing.T) {
	t.Parallel()
	tree := New(t.Context(), sample())
	for file, mode := range map[string]string{".": "dr-x------", "inetd": "dr-x------", "inetd/death": "dr-x------", ".info": "-r--------", "inetd/death/restart": "-r--------"} {
		i, err := tree.Stat(file)
		require.NoError(t, err)
		require.Equal(t, mode, i.Mode().String(), file)
	}
}

// Every file has a twin that is JSON, has the same fields, and keys that are written alike.
func TestEveryFileHasATwinInJSON(t *testing.T) {
	t.Parallel()
	tree := New(t.Context(), sample())
	files := paths(tree)
	for _, file := range files {
		text, err := tree.ReadFile(file)
		require.NoError(t, err)
		if !strings.HasSuffix(file, ".json") {
			require.Contains(t, files, file+".json")
			continue
		}
		require.True(t, json.Valid(text), file)
		require.Contains(t, files, strings.TrimSuffix(file, ".json"))
		var fields map[string]any
		if json.Unmarshal(text, &fields) != nil {
			continue // a list
		}
		twin, err := tree.ReadFile(strings.TrimSuffix(file, ".json"))
		require.NoError(t, err)
		for _, line := range strings.Split(string(twin), "\n") {
			if name, _, ok := strings.Cut(line, ": "); ok && len(name) == column {
				require.Contains(t, fields, keyOf(strings.TrimSpace(name)), file)
			}
		}
	}
}

// A file or directory of each name, and a name for each of these, however names are chosen to be confused.
func TestEveryNameHasOneFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`(history|running|a|\.json|=|x)(\.json|=|a)*`).Filter(func(s string) bool { return s[0] != '.' })
		some := rapid.SliceOfNDistinct(name, 1, 8, rapid.ID[string]).Draw(t, "names")
		e := &core.Entity{Name: "e", Conditions: []core.Condition{{Spec: core.ConditionSpec{Name: "c"}}}}
		m := &memory{}
		for _, n := range some {
			e.Conditions[0].Actions = append(e.Conditions[0].Actions, core.Action{Spec: core.ActionSpec{Name: n, Log: &core.Log{}}})
			m.store.PutEntity(&core.Entity{Name: n})
		}
		m.store.PutEntity(e)
		tree := New(context.Background(), m)
		var told []string
		for _, file := range paths(tree) {
			text, err := tree.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, ".json") {
				require.True(t, json.Valid(text), "%s is JSON", file)
				continue
			}
			line, _, _ := strings.Cut(string(text), "\n")
			if _, name, ok := strings.Cut(line, "Path              : "); ok {
				told = append(told, name)
			}
		}
		want := []string{"e", "e/c"}
		for _, n := range some {
			want = append(want, n, "e/c/"+n)
		}
		require.ElementsMatch(t, want, told)
	})
}

// Whatever users name or say, a line of a file is a field of the tree's.
func TestNobodyCanForgeALine(t *testing.T) {
	t.Parallel()
	text, err := New(t.Context(), sample()).ReadFile("everything/.info")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count("\n"+string(text), "\nPath "))
	require.Contains(t, string(text), `"busy\nPath              : forged"`)
}

func TestAFileKeepsWhatItWasWhenOpened(t *testing.T) {
	t.Parallel()
	m := sample()
	tree := New(t.Context(), m)
	f, err := tree.Open("inetd/.info")
	require.NoError(t, err)
	before, err := tree.ReadFile("inetd/.info")
	require.NoError(t, err)
	e := *m.store.Entity("inetd")
	e.Status = "a longer status than it had before, so that the size differs"
	m.store.PutEntity(&e)
	i, err := f.Stat()
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, string(before), string(text))
	require.Equal(t, int64(len(text)), i.Size())
	now, err := tree.Stat("inetd/.info")
	require.NoError(t, err)
	require.NotEqual(t, i.Size(), now.Size(), "and who looks again sees the present")
}

func TestWhatIsNotThereIsNotThere(t *testing.T) {
	t.Parallel()
	tree := New(t.Context(), sample())
	for _, name := range []string{"nobody", "nobody/.info", "history/.info", "running/x", ".info/x", "inetd/nothing", "inetd/death/nothing", "inetd/death/restart/x", "inetd/death/restart.json.json",
		"inetd/.info/x", "inetd/.info.json/x", ".json", "=", "history==", "inetd=", "everything/state/data.json==="} {
		for op, try := range map[string]func() error{
			"open":    func() error { _, err := tree.Open(name); return err },
			"stat":    func() error { _, err := tree.Stat(name); return err },
			"read":    func() error { _, err := tree.ReadFile(name); return err },
			"readdir": func() error { _, err := tree.ReadDir(name); return err },
		} {
			err := try()
			require.ErrorIs(t, err, fs.ErrNotExist, "%s %s", op, name)
			var path *fs.PathError
			require.ErrorAs(t, err, &path)
			require.Equal(t, name, path.Path)
		}
	}
	_, err := tree.Open("../etc")
	require.ErrorIs(t, err, fs.ErrInvalid)
	_, err = tree.ReadDir(".info")
	require.ErrorIs(t, err, fs.ErrInvalid)
	_, err = tree.ReadFile("inetd")
	require.ErrorIs(t, err, fs.ErrInvalid)
}

// broken is a source that fails in one of its calls.
type broken struct {
	*memory
	call string
}

var errBroken = errors.New("no connection to HAM")

func (b broken) fails(call string) error {
	if b.call == call {
		return errBroken
	}
	return nil
}

func (b broken) Root(ctx context.Context) (core.Root, error) {
	r, _ := b.memory.Root(ctx)
	return r, b.fails("root")
}

func (b broken) Entities(ctx context.Context) ([]string, error) {
	names, _ := b.memory.Entities(ctx)
	return append(names, "just gone"), b.fails("entities")
}

func (b broken) Entity(ctx context.Context, name string) (*core.Entity, time.Time, error) {
	if err := b.fails("entity"); err != nil {
		return nil, time.Time{}, err
	}
	return b.memory.Entity(ctx, name)
}

func (b broken) Running(ctx context.Context) ([]core.Job, error) { return nil, b.fails("running") }

func (b broken) History(ctx context.Context) ([]core.Happening, error) {
	return nil, b.fails("history")
}

func TestASourceThatFailsIsTold(t *testing.T) {
	t.Parallel()
	for call, files := range map[string][]string{
		"":         nil,
		"root":     {".", ".info", "history", "running"},
		"entities": {".info"},
		"entity":   {".info", "inetd", "inetd/.info"},
		"running":  {".info", "running"},
		"history":  {"history"},
	} {
		tree := New(t.Context(), broken{sample(), call})
		for _, file := range []string{".", ".info", "history", "running", "inetd", "inetd/.info"} {
			_, err := tree.Stat(file)
			if slices.Contains(files, file) {
				require.ErrorIs(t, err, errBroken, "%s without %s", file, call)
			} else {
				require.NoError(t, err, "%s without %s", file, call)
			}
		}
	}
	_, err := New(t.Context(), broken{sample(), "entities"}).ReadDir(".")
	require.ErrorIs(t, err, errBroken)
	_, err = New(t.Context(), broken{sample(), "entities"}).Open(".")
	require.ErrorIs(t, err, errBroken)
}

// The tree over a machine that really runs one.
func TestTheTreeOfAMachine(t *testing.T) {
	t.Parallel()
	m := &memory{}
	machine := core.New(&m.store)
	step := func(ev core.Event) { machine.Step(ev) }
	step(core.Event{At: 1, Wall: began.UnixNano(), Resumed: &core.Resumed{PID: 7, Planned: true}})
	spec := core.EntitySpec{Name: "web", Flags: core.KeepOnDeath, Settings: &core.Settings{Command: core.Command{Argv: []string{"/bin/web"}}, Start: true},
		Conditions: []core.ConditionSpec{{Name: "death", On: core.OnDeath, Flags: core.RearmCondition, Actions: []core.ActionSpec{{Name: "pause", WaitFor: &core.WaitFor{Timeout: time.Second}}}}}}
	step(core.Event{At: 2, Wall: began.UnixNano(), Request: &core.Request{By: core.Peer{Admin: true}, Declare: &core.Declare{Entity: &spec}}})
	step(core.Event{At: 3, Wall: began.UnixNano(), Spawned: &core.Spawned{ID: m.store.Entity("web").Process.Spawn, PID: 8, Start: 8}})
	step(core.Event{At: 4, Wall: began.UnixNano(), Exited: &core.Exited{Entity: "web", PID: 8, Start: 8, Exit: core.Exit{Known: true, Code: 3}}})
	tree := New(t.Context(), m)
	require.NoError(t, fstest.TestFS(tree, "web/death/pause"))
	running, err := tree.ReadFile("running")
	require.NoError(t, err)
	require.Contains(t, string(running), "web/death/pause")
	info, err := tree.ReadFile("web/.info")
	require.NoError(t, err)
	require.Contains(t, string(info), "Last Exit         : status 3\n")
}

// What docs/ham.md shows of a file is what is in it.
func TestTheDocsShowTheFilesAsTheyAre(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/ham.md")
	require.NoError(t, err)
	tree := New(t.Context(), sample())
	shown := 0
	_, section, _ := strings.Cut(string(docs), "\n## The tree\n")
	for i, block := range strings.Split(section, "```") {
		if i%2 == 0 {
			continue // text between blocks
		}
		for _, file := range strings.Split(strings.TrimPrefix(block, "text\n"), "==> ")[1:] {
			name, text, _ := strings.Cut(file, " <==\n")
			is, err := tree.ReadFile(name)
			require.NoError(t, err)
			require.Contains(t, string(is), strings.TrimSpace(text), name)
			shown++
		}
	}
	require.Equal(t, 7, shown, "samples")
}

// One look at an entity: its record is there, so this is what the text costs.
func BenchmarkReadEntity(b *testing.B) {
	tree := New(b.Context(), sample())
	for b.Loop() {
		if _, err := tree.ReadFile("inetd/.info"); err != nil {
			b.Fatal(err)
		}
	}
}
