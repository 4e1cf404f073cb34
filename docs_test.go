package tandem_test

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// Every command in the docs is run here, in the order in which a newcomer meets them. A command that is in no table below
// fails the test: it would rot unseen.

// background commands are started and stopped by a later command.
const background = " &"

// provenElsewhere are commands that cannot be run from within a test, and why that is enough.
var provenElsewhere = map[string]string{
	"go test ./...": "this test is part of it",
}

// quicker are commands that take long as they stand, or a port that somebody else may have: the flags that change that.
var quicker = map[string][]string{
	"go run ./cmd/pairmon demo":                     {"--kills", "2"},
	"go run ./bench checkpoint":                     {"--quick"},
	"go run ./bench report":                         {"--quick"},
	"go run ./bench restore":                        {"--quick"},
	"go run ./examples/web --addr 127.0.0.1:8080":   {"--addr", "127.0.0.1:0"},
	"go run ./examples/redis --addr 127.0.0.1:7000": {"--addr", "127.0.0.1:0"},
	"go run ./bench serve":                          {"--quick"},
	"go run ./bench survive":                        {"--quick"},
	"go run ./bench takeover":                       {"--quick"},
}

func TestEveryCommandOfTheDocsRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs every program of the docs, for a minute: run without -short")
	}
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	examples, err := filepath.Glob("examples/*/README.md")
	require.NoError(t, err)
	for _, file := range append(append([]string{"README.md"}, docs...), examples...) {
		t.Run(file, func(t *testing.T) { runAll(t, commandsOf(t, file)) })
	}
}

// commandsOf returns the lines of all sh blocks of a file.
func commandsOf(t *testing.T, file string) (commands []string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	in := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			in = line == "```sh"
		case in && line != "" && !strings.HasPrefix(line, "#"):
			commands = append(commands, line)
		}
	}
	return commands
}

func runAll(t *testing.T, commands []string) {
	dir, err := os.MkdirTemp("", "tandem-docs-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	run := filepath.Join(dir, "run")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	built := map[string]string{} // by go build -o: what the docs call it, where it is
	for _, command := range commands {
		if _, ok := provenElsewhere[command]; ok {
			continue
		}
		line, inBackground := strings.CutSuffix(command, background)
		words := append(strings.Fields(line), quicker[line]...)
		if strings.HasPrefix(line, "go build -o ") && len(words) == 5 {
			built[words[3]] = filepath.Join(dir, words[3])
			out, err := exec.CommandContext(ctx, "go", "build", "-o", built[words[3]], words[4]).CombinedOutput()
			require.NoErrorf(t, err, "%s\n%s", command, out)
			continue
		}
		for i, word := range words {
			words[i] = cmp.Or(built[word], word)
		}
		require.Truef(t, len(words) > 2 && words[0] == "go" && words[1] == "run", "%q: expected go run PACKAGE …, or a reason in this test", command)
		cmd := exec.CommandContext(ctx, build(t, dir, words[2]), words[3:]...)
		cmd.Env = append(os.Environ(), "TANDEM_DIR="+run, "TMPDIR="+dir) // a command that leaves files for its user leaves them there
		if inBackground {
			start(t, cmd, run)
			continue
		}
		out, err := cmd.CombinedOutput()
		require.NoErrorf(t, err, "%s\n%s", command, out)
	}
}

// build compiles a command of this module, once.
func build(t *testing.T, dir, pkg string) string {
	bin := filepath.Join(dir, strings.NewReplacer("./", "", "/", "-").Replace(pkg))
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, pkg).CombinedOutput()
	require.NoErrorf(t, err, "go build %s\n%s", pkg, out)
	return bin
}

// start runs a service until a later command stops it, and waits until it can be reached.
func start(t *testing.T, cmd *exec.Cmd, run string) {
	before := protected(run)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { // a planned switch may have made it the backup: either way it ends with the pair
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%v still runs: expected that a command of the docs stops it", cmd.Args)
		}
	})
	require.Eventually(t, func() bool { return protected(run) > before }, 10*time.Second, 20*time.Millisecond, "%v is not protected", cmd.Args)
}

// protected counts the pairs that are.
func protected(run string) (n int) {
	pages, _ := registry.List(run)
	for _, p := range pages {
		if !p.Stopped && p.UnprotectedSince == nil && p.Primary != nil {
			n++
		}
	}
	return n
}

func TestTheReadmeShowsTheQuickstartAsItIs(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("examples/quickstart/main.go")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(program), "\npackage main\n")
	require.True(t, found)
	require.Contains(t, string(readme), "```go\npackage main\n"+strings.TrimRight(body, "\n")+"\n```", "the README's program is examples/quickstart")
}
