package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckSaysWhatWouldBeStartedAndInWhichOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, toml, want string
	}{
		{"nothing", "", "FILE: 0 entities, 0 started\n"},
		{"dependents come after what they depend on", `
[[entity]]
name = "web"
command = ["sleep", "1"]
after = ["db", "cache"]
[[entity]]
name = "cache"
command = ["sleep", "2"]
after = ["db"]
ready = { beat = true }
heartbeat = { period = "1s", high = 3 }
[[entity]]
name = "db"
command = ["sleep", "a b"]
ready = { notify = true, timeout = "3s" }
`, `1. db: sleep "a b"
2. cache: sleep 2, when db is ready
3. web: sleep 1, when db and cache are ready
FILE: 3 entities, 3 started
`},
		{"what nothing starts is waited for", `
[[entity]]
name = "outside"
[[entity]]
name = "web"
command = ["no such program"]
ready = { tcp = "127.0.0.1:1", timeout = "1s" }
[[entity]]
name = "late"
command = ["true"]
after = ["web", "outside"]
`, `1. web: "no such program" (not found here)
late waits until outside is ready, which this file does not start
FILE: 3 entities, 1 started
`},
		{"a state that is waited for is reported", `
[[entity]]
name = "web"
command = ["true"]
ready = { state = 0 }
[[entity]]
name = "late"
command = ["true"]
after = ["web"]
`, "1. web: true\n2. late: true, when web is ready\nFILE: 2 entities, 2 started\n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w, dir := newWorld(t), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "FILE"), []byte(c.toml), 0o600))
			cmd := w.command(t, "check", "FILE")
			cmd.Dir = dir
			out, err := cmd.Output()
			require.NoError(t, err)
			require.Equal(t, c.want, string(out))
			require.NoDirExists(t, w.dir, "a check starts nothing")
		})
	}
}

func TestCheckTellsMistakesWithFileAndLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, toml, want string
	}{
		{"no TOML", "[[entity]\n", "FILE:2: "},
		{"what the file's own rules refuse", "[[entity]]\nname = \"a\"\nfoo = 1\n", "FILE:3: entity.foo: unknown key\n"},
		{"what HAM refuses", "[[entity]]\nname = \"a\"\ncommand = [\"x\"]\nafter = [\"b\"]\n\n[[entity]]\nname = \"b\"\ncommand = [\"x\"]\nafter = [\"a\"]\n", "FILE:7: entity b: "},
		{"all of them", "[[entity]]\nname = \"a\"\nfoo = 1\nbar = 2\n", "FILE:4: entity.bar: unknown key\n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w, dir := newWorld(t), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "FILE"), []byte(c.toml), 0o600))
			out, errs, status := w.pairmon(t, "check", filepath.Join(dir, "FILE"))
			require.Equal(t, exitFailed, status)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
		})
	}
	_, errs, status := newWorld(t).pairmon(t, "check", "no-such-file")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "cannot read the configuration")
}
