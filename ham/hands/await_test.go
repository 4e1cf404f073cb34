package hands

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func (b *bench) wait(w core.WaitFor) uint64 {
	id := b.id()
	if w.Timeout == 0 {
		w.Timeout = patience
	}
	b.Do(core.Await{ID: id, For: w, As: core.Owner{Admin: true}})
	return id
}

func TestWhatIsThereOrComesIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	dir := t.TempDir()
	path, socket := filepath.Join(dir, "file"), filepath.Join(dir, "socket")
	bound := must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)) // and nobody listens yet
	defer unix.Close(bound)
	require.NoError(t, unix.Bind(bound, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	address := fmt.Sprintf("127.0.0.1:%d", must(unix.Getsockname(bound)).(*unix.SockaddrInet4).Port)

	waits := []uint64{b.wait(core.WaitFor{Path: path}), b.wait(core.WaitFor{TCP: address}), b.wait(core.WaitFor{Unix: socket}),
		b.wait(core.WaitFor{HTTP: "http://" + address + "/ready"})}
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	l, err := net.Listen("unixpacket", socket)
	require.NoError(t, err)
	defer l.Close()
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	server.Listener.Close()
	require.NoError(t, unix.Listen(bound, 10))
	file := os.NewFile(uintptr(must(unix.Dup(bound))), "listener")
	server.Listener, err = net.FileListener(file)
	require.NoError(t, err)
	file.Close()
	server.Start()
	defer server.Close()
	for _, id := range waits {
		require.Empty(t, b.done(t, id).Err)
	}
	require.GreaterOrEqual(t, asked.Load(), int32(3), "an answer that is not 2xx counted as one")
}

func TestAWaitHasAnEndAndSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer server.Close()
	const short = 20 * time.Millisecond
	for want, w := range map[string]core.WaitFor{
		"waited 20ms for /no/such: stat /no/such: no such file": {Path: "/no/such"},
		"waited 20ms for tcp 127.0.0.1:1: ":                     {TCP: "127.0.0.1:1"},
		"waited 20ms for socket /no/such: ":                     {Unix: "/no/such"},
		"waited 20ms for " + server.URL + ": ":                  {HTTP: server.URL},
	} {
		w.Timeout = short
		require.Contains(t, b.done(t, b.wait(w)).Err, want)
	}
	require.Empty(t, b.done(t, b.wait(core.WaitFor{Timeout: short})).Err, "a bare delay failed")
}

func TestACancelledWaitIsNotTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.wait(core.WaitFor{Path: "/no/such", Timeout: time.Hour})
	b.Do(core.Cancel{ID: id})
	eventually(t, "it goes on", func() bool {
		b.ops.mu.Lock()
		defer b.ops.mu.Unlock()
		return len(b.ops.all) == 0
	})
	require.Empty(t, b.events)
}

func (b *bench) notify(n core.Notify) uint64 {
	id := b.id()
	b.Do(core.Tell{ID: id, Path: core.Path{Entity: "e", Condition: "c", Action: "a"}, Notify: n, As: core.Owner{Admin: true},
		Cause: core.Cause{Seq: 17, Entity: "dead", Type: core.OnDeath, PID: 4711}})
	return id
}

// checkMessage requires the message of notify.
func checkMessage(t *testing.T, text []byte) {
	t.Helper()
	var m Message
	require.NoError(t, json.Unmarshal(text, &m), "%s", text)
	require.Equal(t, Message{Entity: "e", Condition: "c", Action: "a", Text: "hello",
		Cause: core.Cause{Seq: 17, Entity: "dead", Type: core.OnDeath, PID: 4711}}, m)
}

func TestAPartyIsToldByDatagram(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	path := filepath.Join(t.TempDir(), "socket")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer c.Close()
	// More than the queue of a socket holds: the last ones wait for the reader.
	var ids []uint64
	for range 100 {
		ids = append(ids, b.notify(core.Notify{Datagram: path, Text: "hello"}))
	}
	buf := make([]byte, 4096)
	for range ids {
		n, err := c.Read(buf)
		require.NoError(t, err)
		checkMessage(t, buf[:n])
	}
	for _, id := range ids {
		require.Empty(t, b.done(t, id).Err)
	}
	require.Contains(t, b.done(t, b.notify(core.Notify{Datagram: "/no/such"})).Err, "cannot send to /no/such: no such file")
}

func TestAPartyIsToldByHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	heard := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hook" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		text, _ := io.ReadAll(r.Body)
		heard <- text
	}))
	defer server.Close()
	require.Empty(t, b.done(t, b.notify(core.Notify{HTTP: server.URL + "/hook", Text: "hello"})).Err)
	checkMessage(t, <-heard)
	require.Contains(t, b.done(t, b.notify(core.Notify{HTTP: server.URL + "/"})).Err, "403 Forbidden")
}

func TestAPartyIsToldByALineOnItsConnection(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	b := newBench(t, Config{Line: func(client uint64, line []byte) error {
		if client != 5 {
			return fmt.Errorf("there is no client %d", client)
		}
		heard <- string(line)
		return nil
	}})
	require.Empty(t, b.done(t, b.notify(core.Notify{Client: 5, Text: "hello"})).Err)
	line := <-heard
	require.True(t, strings.HasSuffix(line, "}\n"))
	checkMessage(t, []byte(line))
	require.Equal(t, "there is no client 6", b.done(t, b.notify(core.Notify{Client: 6})).Err)
	require.Equal(t, "there is nobody to tell", b.done(t, b.notify(core.Notify{})).Err)
}

func TestAPartyIsToldByASignalWithAValue(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{})
	id := b.spawn(t, core.Spawn{Entity: "listener", Command: role(t, "value")})
	eventually(t, "it does not start", func() bool { return len(b.log.lines("listener")) == 1 })
	require.Empty(t, b.done(t, b.notify(core.Notify{Signal: &core.Signal{PID: id.PID, Start: id.Start, Signal: valueSignal, Value: -42}})).Err)
	eventually(t, "the value does not arrive", func() bool { return len(b.log.lines("listener")) == 2 })
	require.Equal(t, fmt.Sprintf("signal %d value -42 from %d", valueSignal, unix.Getpid()), b.log.lines("listener")[1])
	require.Contains(t, b.done(t, b.notify(core.Notify{Signal: &core.Signal{PID: id.PID, Start: id.Start + 1, Signal: 9}})).Err, "process is gone", "a recycled pid was signalled")
}
