package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

func TestMain(m *testing.M) {
	pairtest.Main(m, pairtest.Programs{
		"web": func(ctx context.Context) error { return newService("web", "127.0.0.1:0").Run(ctx) },
	})
}

// A handler can be tested without a pair, like any other.
func TestTheSiteAnswersWhatItIsAsked(t *testing.T) {
	t.Parallel()
	site := newSite(pair.New("web"))
	ask := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // part of the answer
	}{
		{"GET", "/", "", 200, "<!doctype html>"},
		{"GET", "/count", "", 200, `{"count":0,`},
		{"POST", "/count", "", 200, `{"count":1,`},
		{"GET", "/todos", "", 200, `[]`},
		{"POST", "/todos", `{"text": " buy milk "}`, 201, `{"id":1,"text":"buy milk","done":false}`},
		{"POST", "/todos", `{"text": "<b>"}`, 201, `{"id":2,`},
		{"POST", "/todos", `{"text": ""}`, 400, `needs a text`},
		{"POST", "/todos", `{"text": "` + strings.Repeat("ä", maxText+1) + `"}`, 400, `at most 200`},
		{"POST", "/todos", `{"text": "` + strings.Repeat("x", maxBody) + `"}`, 400, `too large`},
		{"POST", "/todos", `text=x`, 400, `expected JSON`},
		{"PUT", "/todos/1", `{"done": true, "id": 7}`, 200, `{"id":1,"text":"buy milk","done":true}`},
		{"PUT", "/todos/1", `{"text": " "}`, 400, `needs a text`},
		{"PUT", "/todos/7", `{"done": true}`, 404, `no to-do 7`},
		{"DELETE", "/todos/x", "", 404, `no to-do x`},
		{"DELETE", "/todos/2", "", 204, ``},
		{"GET", "/todos", "", 200, `[{"id":1,"text":"buy milk","done":true}]`},
		{"PATCH", "/todos", "", 405, ``},
		{"GET", "/nothing", "", 404, ``},
	} {
		status, got := ask(c.method, c.path, c.body)
		require.Equal(t, c.status, status, "%s %s: %s", c.method, c.path, got)
		require.Contains(t, got, c.want, "%s %s", c.method, c.path)
	}
	for i := 2; i <= maxTodos; i++ {
		status, _ := ask("POST", "/todos", `{"text": "more"}`)
		require.Equal(t, 201, status)
	}
	status, got := ask("POST", "/todos", `{"text": "too much"}`)
	require.Equal(t, 409, status, "%s", got)
}

func TestOtherSitesCannotPressTheButtons(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/count", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	newSite(pair.New("web")).ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
}

// The commands of the README are run as they stand there, but for the port, and for the pause between two kills: that is
// as long as it takes to be protected again.
func TestTheCommandsOfTheReadmeWork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: apt-get install curl")
	}
	p := pairtest.Start(t, "web")
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := strings.NewReplacer("127.0.0.1:8080", p.Status().Listen[0], "[1-2000]", "[1-400]").Replace(string(readme))
	counting := make(chan string, 1)
	counted, ran := 0, 0
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(line, "    ")
		switch {
		case !ok:
			continue
		case strings.Contains(command, "--rate"):
			go func() { counting <- shell(command) }()
			counted += 400
		case strings.Contains(command, "for i in"):
			_, kill, _ := strings.Cut(command, "do ")
			kill, _, _ = strings.Cut(kill, "; sleep")
			for range 5 {
				killOne(t, p, kill)
			}
			out := <-counting
			require.Equal(t, 1, strings.Count(out, " 1\n"), "broken promise: a connection outlives its server\n%s", out)
			require.Equal(t, 399, strings.Count(out, " 0\n"), "broken promise: every request is answered\n%s", out)
		case strings.HasPrefix(command, "kill"):
			killOne(t, p, command)
		default:
			out := shell(command)
			require.NotContains(t, out, "error", "%s", command)
			if strings.Contains(command, "-X POST") {
				counted++
				require.Contains(t, out, `{"count":`+strconv.Itoa(counted)+`,`, "broken promise: every request is handled once")
			}
		}
		ran++
	}
	require.Equal(t, 10, ran, "commands of the README")
	p.WaitProtected()
	require.NotZero(t, p.Status().Takeovers)
}

// killOne runs a command that kills the primary.
func killOne(t *testing.T, p *pairtest.Pair, command string) {
	t.Helper()
	s := p.WaitProtected()
	require.Empty(t, shell(command), "%s", command)
	p.WaitStatus("the takeover", func(now pairtest.Status) bool { return now.Primary == s.Backup })
}

// shell runs one command and returns what it printed.
func shell(command string) string {
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		return string(out) + " error: " + err.Error()
	}
	return string(out)
}
