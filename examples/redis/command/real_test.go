package command

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// real is a real Redis server, to compare with.
type real struct {
	t      testing.TB
	socket string
}

// startReal starts a redis-server for this test.
func startReal(t testing.TB) *real {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is missing, so nothing is compared with it: apt-get install redis-server")
	}
	version, err := exec.Command(path, "--version").Output()
	require.NoError(t, err)
	if !strings.Contains(string(version), "v=7.0.") {
		t.Skipf("redis-server is not 7.0, whose replies these are: %s", version)
	}
	dir := t.TempDir()
	r := &real{t, filepath.Join(dir, "s")}
	cmd := exec.Command(path, "--port", "0", "--unixsocket", r.socket, "--save", "", "--dir", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the test be killed
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", r.socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond, "redis-server does not listen")
	return r
}

// answersWithin bounds the wait for a reply of a real server.
const answersWithin = 10 * time.Second

// connection is one to a real server.
type connection struct {
	t require.TestingT
	net.Conn
	r *bufio.Reader
}

func (r *real) dial(t require.TestingT) *connection {
	c, err := net.Dial("unix", r.socket)
	require.NoError(t, err)
	return &connection{t, c, bufio.NewReader(c)}
}

func (c *connection) do(args ...string) string { return c.send(request(args...)) }

func (c *connection) send(b []byte) string {
	require.NoError(c.t, c.SetDeadline(time.Now().Add(answersWithin)))
	_, err := c.Write(b)
	require.NoError(c.t, err)
	var raw strings.Builder
	require.NoError(c.t, copyReply(c.r, &raw), "redis-server's reply to %.1000q", b)
	return raw.String()
}

// copyReply copies one reply as it is.
func copyReply(r *bufio.Reader, to *strings.Builder) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	to.WriteString(line)
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$':
		if n >= 0 {
			_, err = io.CopyN(to, r, int64(n)+2)
		}
	case '*':
		for ; n > 0 && err == nil; n-- {
			err = copyReply(r, to)
		}
	}
	return err
}

// plain makes a reply readable, and gives an order to what has none.
func plain(command []string, reply string) string {
	name := strings.ToLower(command[0])
	v := parseReply(bufio.NewReader(strings.NewReader(reply)))
	list, isList := v.([]any)
	switch {
	case isList && slices.Contains([]string{"smembers", "sinter", "sunion", "sdiff", "hkeys", "hvals", "keys", "spop"}, name):
		sortReplies(list)
	case isList && (name == "hgetall" || name == "config"):
		v = pairs(list)
	case isList && len(list) == 2 && slices.Contains([]string{"hscan", "zscan"}, name):
		list[1] = pairs(list[1].([]any))
	case isList && len(list) == 2 && slices.Contains([]string{"scan", "sscan"}, name):
		sortReplies(list[1].([]any))
	case isList && name == "hello":
		list[7] = "its own ID"
	}
	if n, ok := v.(int); ok && n > 0 && slices.Contains([]string{"ttl", "pttl", "expiretime", "pexpiretime"}, name) {
		v = "some time"
	}
	return fmt.Sprintf("%#v", v)
}

func sortReplies(list []any) {
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

func pairs(list []any) any {
	var p []any
	for i := 0; i+1 < len(list); i += 2 {
		p = append(p, fmt.Sprintf("%q=%q", list[i], list[i+1]))
	}
	sortReplies(p)
	return p
}

type (
	status  string
	failure string
	missing string
)

func parseReply(r *bufio.Reader) any {
	line, err := r.ReadString('\n')
	if err != nil {
		return failure(err.Error())
	}
	text := strings.TrimRight(line[1:], "\r\n")
	n, _ := strconv.Atoi(text)
	switch {
	case line[0] == '+':
		return status(text)
	case line[0] == '-':
		return failure(text)
	case line[0] == ':':
		return n
	case n < 0:
		return missing(line)
	case line[0] == '$':
		b := make([]byte, n+2)
		_, _ = io.ReadFull(r, b)
		return string(b[:n])
	}
	list := []any{}
	for range n {
		list = append(list, parseReply(r))
	}
	return list
}
