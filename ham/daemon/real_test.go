package daemon_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Daemons as they come with Debian, none of which knows of HAM.

// need fails the test if there is no such program.
func need(t *testing.T, program, debian string) {
	t.Helper()
	_, err := exec.LookPath(program)
	require.NoError(t, err, "%s is not installed: apt-get install %s", program, debian)
}

func TestRedisIsRestartedAndWarmed(t *testing.T) {
	t.Parallel()
	need(t, "redis-server", "redis-server")
	need(t, "redis-cli", "redis-tools")
	defer takeTurn()()
	_, port, err := net.SplitHostPort(freeAddr(t))
	require.NoError(t, err)
	h := begin(t, strings.ReplaceAll(`
[[entity]]
name = "cache"
command = ["redis-server", "--port", "7777", "--save", "", "--dir", "$DIR"]
ready = { tcp = "127.0.0.1:7777" }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
    [[entity.condition.action]]
    name = "wait"
    waitfor = { tcp = "127.0.0.1:7777", timeout = "5s" }
    [[entity.condition.action]]
    name = "warm"
    execute = ["redis-cli", "-p", "7777", "set", "warm", "1"]
`, "7777", port))
	redis := func(args ...string) string {
		out, _ := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).Output()
		return strings.TrimSpace(string(out))
	}
	pid := h.running("cache").Process.PID
	require.Equal(t, "OK", redis("set", "precious", "data"))
	h.kill(pid)
	h.until("it is warm", func() bool { return h.told("cache/death/warm action done") == 1 })
	require.Equal(t, "1", redis("get", "warm"))
	require.Empty(t, redis("get", "precious"), "it is another process")

	ham, _ := h.protected() // HAM dies, and then what it watches
	h.kill(ham)
	require.Equal(t, "1", redis("get", "warm"), "broken promise: a takeover touches nothing")
	h.kill(h.running("cache").Process.PID)
	h.until("it is warm again", func() bool { return h.told("cache/death/warm action done") == 2 })
	require.Contains(t, h.log.String(), "Ready to accept connections", "its output is in the log")
}

// nginx has workers, which outlive their master and hold its port.
func TestNginxReloadsAndIsRestarted(t *testing.T) {
	t.Parallel()
	need(t, "nginx", "nginx-light")
	defer takeTurn()()
	addr := freeAddr(t)
	h := prepare(t, strings.ReplaceAll(`
[[entity]]
name = "web"
command = ["nginx", "-p", "$DIR/nginx", "-e", "error.log", "-c", "nginx.conf"]
ready = { http = "http://ADDR/" }
  [[entity.condition]]
  name = "death"
  on = "death"
    [[entity.condition.action]]
    name = "restart"
    restart = {}
    [[entity.condition.action]]
    name = "wait"
    waitfor = { http = "http://ADDR/", timeout = "10s" }
  [[entity.condition]]
  name = "reload"
  on = "raise"
    [[entity.condition.action]]
    name = "reload"
    signal = "HUP"
`, "ADDR", addr))
	configure := func(text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Join(h.dir(), "nginx"), 0o755))
		conf := fmt.Sprintf("daemon off;\nmaster_process on;\nworker_processes 2;\nuser root;\npid nginx.pid;\nevents {}\nhttp {\n access_log off;\n"+
			" client_body_temp_path t1;\n proxy_temp_path t2;\n fastcgi_temp_path t3;\n uwsgi_temp_path t4;\n scgi_temp_path t5;\n"+
			" server { listen %s; location / { return 200 %q; } }\n}\n", addr, text)
		require.NoError(t, os.WriteFile(filepath.Join(h.dir(), "nginx", "nginx.conf"), []byte(conf), 0o644))
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	says := func() string {
		resp, err := client.Get("http://" + addr)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	configure("one")
	h.begin()
	master := h.running("web").Process.PID
	require.Equal(t, "one", says())
	configure("two")
	h.ask(h.dial(), core.Request{Raise: &core.Raise{Entity: "web"}})
	h.until("it says two", func() bool { return says() == "two" })
	require.Equal(t, master, h.entity("web").Process.PID, "broken promise: a reload is no restart")

	configure("three")
	h.kill(master)
	h.until("it is there again", func() bool { return h.told("web/death/wait action done") == 1 })
	h.restarted("web", 1)
	h.until("it says three", func() bool { return says() == "three" })
}
