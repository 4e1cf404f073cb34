package registry

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary play another process: publish, lock, or lock and pass.
const roleEnv = "TANDEM_REGISTRY_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(role, root, name string) error {
	d, err := Open(root, name)
	if err != nil {
		return err
	}
	defer d.Close()
	switch role {
	case "publish": // until killed
		for n := uint64(1); ; n++ {
			if err := d.Publish(testPage(n)); err != nil {
				return err
			}
		}
	case "lock": // at a word on standard input; the lock is held until its end
		in := bufio.NewReader(os.Stdin)
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
		if _, err := d.Lock(); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("locked")
		}
		_, err := io.Copy(io.Discard, in)
		return err
	case "pass": // the lock to the socket that is descriptor 3; then hold it until killed
		fd, err := d.Lock()
		if err != nil {
			return err
		}
		if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	}
	return fmt.Errorf("no role %q", role)
}

// start runs the test binary in a role, with files as its descriptors from 3 on. It is dead and reaped at the end of
// the test.
func start(t *testing.T, role, root, name string, files ...*os.File) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd = exec.Command(exe, root, name)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = files
	in, err = cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	return cmd, in, bufio.NewReader(stdout)
}

// kill sends SIGKILL and waits for the end. It may be called again.
func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// tempRoot is a run directory that does not exist yet.
func tempRoot(t testing.TB) string { return filepath.Join(t.TempDir(), "run") }

func openDir(t *testing.T, root, name string) *Dir {
	t.Helper()
	d, err := Open(root, name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// testPage is a page whose every part follows from n, and whose length varies with n: a mixture of two is found.
func testPage(n uint64) Page {
	at := time.Unix(1_700_000_000+int64(n), int64(n))
	word := fmt.Sprintf("page %d;", n)
	return Page{
		Program: word, Instance: strings.Repeat(word, 1+int(n%97)), Epoch: uint32(n), Requests: n,
		Primary:      &Member{PID: int(n), Start: n, Since: at},
		Notice:       []string{word, word},
		LastTakeover: &Takeover{Evidence: strings.Repeat(word, 1+int(n%31)), At: at, Records: int(n)},
	}
}

// requireTestPage: p is testPage of some number, whole.
func requireTestPage(t *testing.T, p Page) {
	t.Helper()
	want := testPage(p.Requests)
	want.Version, want.Name, want.UpdatedAt = p.Version, p.Name, p.UpdatedAt
	require.Equal(t, inUTC(want), inUTC(p), "a torn page was read")
}

// inUTC makes pages comparable: equal times may differ in how they say their zone.
func inUTC(p Page) Page {
	p.UpdatedAt = p.UpdatedAt.UTC()
	if p.UnprotectedSince != nil {
		at := p.UnprotectedSince.UTC()
		p.UnprotectedSince = &at
	}
	for _, m := range []**Member{&p.Primary, &p.Backup} {
		if *m != nil {
			c := **m
			c.Since = c.Since.UTC()
			*m = &c
		}
	}
	if p.LastTakeover != nil {
		c := *p.LastTakeover
		c.At = c.At.UTC()
		p.LastTakeover = &c
	}
	return p
}
