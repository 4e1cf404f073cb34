package proc

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary one of the processes that the tests watch.
const roleEnv = "TANDEM_PROC_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		play(role)
		os.Exit(0)
	}
	// The runtime's own epoll and eventfd, for good: they are no leak.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	before := census()
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != ""; fuzzing || code != 0 {
		os.Exit(code) // with processes and pipes of its own, or with a better reason
	}
	if leak := leaked(before); leak != "" {
		fmt.Fprintln(os.Stderr, "broken promise: the tests left behind:", leak)
		code = 1
	}
	os.Exit(code)
}

// leaked says what there is more of than before, once things have settled.
func leaked(before map[string]int) (leak string) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		leak = ""
		for what, n := range census() {
			if n > before[what] {
				leak += fmt.Sprintf(" %s (%d, were %d)", what, n, before[what])
			}
		}
		if leak == "" {
			return ""
		}
	}
	return leak
}

// census counts descriptors by what they are, goroutines and children.
func census() map[string]int {
	c := map[string]int{"goroutines": runtime.NumGoroutine()}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			c[strings.TrimRight(target, "0123456789[]:")]++
		}
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		c["children"]++
	}
	return c
}

// member is a process in one of the roles, with a line of commands to it and one of
// answers from it. It ends with the test, or with the test's process.
type member struct {
	*Child
	p      *Process
	stdin  *os.File
	stdout *bufio.Reader
}

func start(t testing.TB, role string, files ...*os.File) *member {
	t.Helper()
	in, stdin, err := os.Pipe()
	require.NoError(t, err)
	stdout, out, err := os.Pipe()
	require.NoError(t, err)
	child, err := Spawn(Spec{
		Args:   []string{"proc.test-" + role},
		Env:    append(os.Environ(), roleEnv+"="+role, "GOCOVERDIR="+t.TempDir()),
		Stdin:  in,
		Stdout: out,
		Stderr: os.Stderr,
		Files:  files,
	})
	require.NoError(t, err)
	in.Close()
	out.Close()
	m := &member{Child: child, stdin: stdin, stdout: bufio.NewReader(stdout)}
	m.p, err = Open(child.ID())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = m.p.Signal(unix.SIGKILL)
		<-child.Done()
		m.p.Close()
		stdin.Close()
		stdout.Close()
	})
	return m
}

func (m *member) say(t testing.TB, command string) {
	t.Helper()
	_, err := io.WriteString(m.stdin, command+"\n")
	require.NoError(t, err)
}

func (m *member) hear(t testing.TB) string {
	t.Helper()
	line, err := m.stdout.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(line, "\n")
}

// page is memory that a test and its children share.
type page struct {
	file *os.File
	mem  []byte
}

const (
	pageSize  = 4 << 10
	copiedLen = 16 << 20 // takes milliseconds to copy
)

func newPage(t testing.TB, size int) *page {
	t.Helper()
	file, err := newMemfd(size)
	require.NoError(t, err)
	mem, err := mapAll(file)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, unix.Munmap(mem))
		file.Close()
	})
	return &page{file, mem}
}

func newMemfd(size int) (*os.File, error) {
	fd, err := unix.MemfdCreate("proc-test", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "proc-test")
	return f, f.Truncate(int64(size))
}

func mapAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// samples are 4096 bytes from all over the page.
func (p *page) samples() []byte {
	s := make([]byte, pageSize)
	for i := range s {
		s[i] = p.mem[i*(len(p.mem)/pageSize)]
	}
	return s
}

// cell is the first thing on the page, counters follow it.
func (p *page) cell() *Cell { return (*Cell)(unsafe.Pointer(&p.mem[0])) }

const counters = 4

func (p *page) counter(i int) *uint64 { return (*uint64)(unsafe.Pointer(&p.mem[64*(i+1)])) }

// play is main of the children. They end when their standard input does.
func play(role string) {
	commands := bufio.NewScanner(os.Stdin)
	var shared page
	if mem, err := mapAll(os.NewFile(3, "shared")); err == nil {
		shared.mem = mem
	}
	switch role {
	case "idle":
		fmt.Println("idle")
	case "beacon":
		playBeacon(&shared, commands)
	case "spin", "storm":
		count := map[string]func(*uint64, func()){"spin": spin, "storm": storm}[role]
		await(counters, func(i int, moving func()) { count(shared.counter(i), moving) })
	case "copy":
		await(2, func(i int, moving func()) { copyForever(shared.mem[i*copiedLen/2:][:copiedLen/2], moving) })
	case "files":
		fds, _ := os.ReadDir("/proc/self/fd")
		for _, fd := range fds {
			target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
			fmt.Println(fd.Name(), target)
		}
		return
	case "nocore":
		fmt.Println(NoCore())
		var lim unix.Rlimit
		fmt.Println(unix.Getrlimit(unix.RLIMIT_CORE, &lim), lim.Cur <= 1)
	}
	for commands.Scan() {
	}
}

func playBeacon(shared *page, commands *bufio.Scanner) {
	b, err := Light(shared.cell())
	fmt.Println("lit", err)
	for commands.Scan() {
		switch commands.Text() {
		case "exit":
			os.Exit(7)
		case "panic":
			os.Stderr.Close()
			panic("as told")
		case "announce":
			b.Announce()
			fmt.Println("announced")
		case "extinguish":
			b.Extinguish()
			fmt.Println("extinguished")
		}
	}
}

// await starts n goroutines and says so when all of them are on the move.
func await(n int, run func(i int, moving func())) {
	var moving sync.WaitGroup
	moving.Add(n)
	for i := range n {
		go run(i, moving.Done)
	}
	moving.Wait()
	fmt.Println("moving")
}

func spin(counter *uint64, moving func()) {
	moving()
	for {
		atomic.AddUint64(counter, 1)
	}
}

// storm counts in ever new threads.
func storm(counter *uint64, moving func()) {
	for generation := 0; ; generation++ {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runtime.LockOSThread() // never undone: the thread ends with the goroutine
			for range 1000 {
				atomic.AddUint64(counter, 1)
			}
		}()
		<-ended
		if generation == 0 {
			moving()
		}
	}
}

// copyForever fills the memory with zeros and ones by turns, in system calls that take
// milliseconds and do not stop for a signal.
func copyForever(mem []byte, moving func()) {
	zeros, err := newMemfd(len(mem))
	must(err)
	ones, err := newMemfd(0)
	must(err)
	_, err = ones.Write(bytes.Repeat([]byte{1}, len(mem)))
	must(err)
	for turn := 0; ; turn++ {
		for _, f := range []*os.File{zeros, ones} {
			_, err := unix.Pread(int(f.Fd()), mem, 0)
			must(err)
		}
		if turn == 0 {
			moving()
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
