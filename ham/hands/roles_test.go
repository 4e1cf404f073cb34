package hands

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands/beat"
)

// play is main of the programs that the tests run.
func play(role string) {
	switch role {
	case "files":
		playFiles()
	case "keeper":
		playKeeper()
	case "ham":
		playHAM()
	case "notify":
		playNotify()
	case "server":
		playServer()
	case "value":
		playValue()
	case "beat":
		playBeat()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// playFiles tells its descriptors.
func playFiles() {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			fmt.Println("fd", fd.Name(), target)
		}
	}
}

// playKeeper starts HAM, and reaps all that becomes its child until nothing is left.
func playKeeper() {
	must(0, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	self := must(os.Executable())
	must(0, os.Setenv(roleEnv, "ham"))
	must(os.StartProcess(self, []string{self}, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}}))
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			return
		}
	}
}

// effects are what the HAM of a test performs.
type effects struct {
	Dir  string
	Do   []core.Spawn
	Run  []core.RunCommand
	Held bool
}

const effectsEnv = "HANDS_TEST_EFFECTS"

// playHAM performs the effects in its environment and tells what happens, until it is killed or its test is.
func playHAM() {
	var todo effects
	must(0, json.Unmarshal([]byte(os.Getenv(effectsEnv)), &todo))
	out := json.NewEncoder(os.Stdout)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	told := make(chan core.Event, 100)
	h := must(Config{Dir: todo.Dir}.New(log, func(e core.Event) { told <- e }))
	fmt.Println(os.Getpid())
	go func() {
		for e := range told {
			_ = out.Encode(e)
		}
	}()
	for _, s := range todo.Do {
		h.Do(s)
	}
	for _, r := range todo.Run {
		h.Do(r)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// playNotify says by sd_notify what it is told, a line each; of a line "fd NAME" it stores a descriptor under that name.
func playNotify() {
	addr := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	fd := must(unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	fmt.Println("listen", os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES"))
	in := bufio.NewScanner(must(os.Open(os.Getenv("HANDS_TEST_GATE"))))
	for in.Scan() {
		text, rights := in.Text(), []byte(nil)
		if name, ok := strings.CutPrefix(text, "fd "); ok {
			text = "FDSTORE=1\nFDNAME=" + name
			rights = unix.UnixRights(must(unix.Dup(0)), must(unix.Dup(1)))
		}
		if status, ok := strings.CutPrefix(text, "exit "); ok {
			os.Exit(must(strconv.Atoi(status)))
		}
		must(0, unix.Sendmsg(fd, []byte(strings.ReplaceAll(text, ";", "\n")), rights, addr, 0))
	}
}

// playServer answers one connection after the other on the first socket it was given, with its pid; "exit" ends it.
func playServer() {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		panic("LISTEN_PID is " + os.Getenv("LISTEN_PID"))
	}
	l := must(net.FileListener(os.NewFile(3, "listener")))
	for {
		c := must(l.Accept())
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Fprintln(c, os.Getpid())
		c.Close()
		if line == "exit\n" {
			os.Exit(0)
		}
	}
}

// valueSignal is a real-time signal that the Go runtime does not use.
const valueSignal = 40

// playValue tells the value that comes with a signal. To read it, the signal must be blocked in all threads of a process, which it is
// if the thread that became that process had it blocked.
func playValue() {
	set := unix.Sigset_t{}
	set.Val[0] = 1 << (valueSignal - 1)
	if os.Getenv("HANDS_TEST_BLOCKED") == "" {
		runtime.LockOSThread()
		must(0, unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil))
		must(0, syscall.Exec(must(os.Executable()), os.Args, append(os.Environ(), "HANDS_TEST_BLOCKED=1")))
	}
	fd := must(unix.Signalfd(-1, &set, unix.SFD_CLOEXEC))
	fmt.Println("waiting")
	var info unix.SignalfdSiginfo
	must(unix.Read(fd, (*[unsafe.Sizeof(info)]byte)(unsafe.Pointer(&info))[:]))
	fmt.Println("signal", info.Signo, "value", info.Int, "from", info.Pid)
}

// playBeat beats once for each line that it is told, and says so.
func playBeat() {
	p := must(beat.New())
	w := must(p.Word(os.Getenv("HANDS_TEST_ENTITY")))
	in := bufio.NewScanner(must(os.Open(os.Getenv("HANDS_TEST_GATE"))))
	for in.Scan() {
		w.Beat()
	}
}
