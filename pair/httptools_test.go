package pair_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pairtest"
)

// The clients that people use, as they are installed.

// tool finds a program that must not be the reason for a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s", name, name)
	}
	return path
}

// use runs a client program while primaries are killed.
func use(t *testing.T, p *pairtest.Pair, kills int, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	killing(t, p, kills)
	require.NoError(t, cmd.Wait(), "broken promise: a client never notices a takeover\n%s", &out)
	return out.String()
}

// curl reuses its connection for all the requests of one command. Its rate keeps it busy for longer than the kills take.
func TestCurlKeepsItsConnectionAcrossKills(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	p := start(t, "web")
	const requests = 400
	out := use(t, p, 3, curl, "-sS", "--fail", "--rate", "200/s", "-d", "x", "-o", filepath.Join(t.TempDir(), "#1"), "-w", "%{num_connects} %{http_code}\n",
		url(p, fmt.Sprintf("/count?[1-%d]", requests)))
	connects := 0
	for line := range strings.Lines(out) {
		var made, status int
		_, err := fmt.Sscan(line, &made, &status)
		require.NoError(t, err, "%q", line)
		require.Equal(t, 200, status)
		connects += made
	}
	require.Equal(t, 1, connects, "broken promise: a client's connection outlives its server")
	require.Equal(t, requests, counted(t, p), "broken promise: the counter is the number of answered POSTs")
}

func TestCurlUploadsAcrossAKill(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	p := start(t, "web")
	body := bytes.Repeat([]byte("tandem! "), 200<<10/8)
	file := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	for _, coding := range []string{"Content-Type: a/b", "Transfer-Encoding: chunked"} {
		out := use(t, p, 1, curl, "-sS", "--fail", "--limit-rate", "400k", "-H", "Expect: 100-continue", "-H", coding, "--data-binary", "@"+file, url(p, "/sum"))
		require.Equal(t, fmt.Sprintf("%d %d", len(body), crc32.ChecksumIEEE(body)), out)
	}
}

var wrkSays = regexp.MustCompile(`(\d+) requests in`)

func TestWrkNeverNoticesKills(t *testing.T) {
	t.Parallel()
	wrk := tool(t, "wrk")
	p := start(t, "web")
	script := filepath.Join(t.TempDir(), "post.lua")
	require.NoError(t, os.WriteFile(script, []byte(`wrk.method = "POST"`), 0o600))
	const clients = 8
	out := use(t, p, 2, wrk, "-t", "1", "-c", strconv.Itoa(clients), "-d", "3s", "-s", script, url(p, "/count"))
	require.NotContains(t, out, "Socket errors")
	require.NotContains(t, out, "Non-2xx")
	said := wrkSays.FindStringSubmatch(out)
	require.Len(t, said, 2, "%s", out)
	answered, err := strconv.Atoi(said[1])
	require.NoError(t, err)
	require.NotZero(t, answered)
	require.GreaterOrEqual(t, counted(t, p), answered, "broken promise: what was answered is in the state")
	require.LessOrEqual(t, counted(t, p), answered+clients, "broken promise: once; wrk leaves off in the middle of one request for each client")
}
