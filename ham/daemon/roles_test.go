package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/hands/beat"
	"github.com/1fb4ed1c/tandem/pair"
)

// What the programs that the tests watch get by their environment.
const (
	envDir  = "DAEMON_TEST_DIR"  // where they write: the test's directory
	envName = "DAEMON_TEST_NAME" // of the entity
)

// play is main of a program that is watched.
func play(role string) int {
	switch role {
	case "mark":
		playMark()
	case "serve":
		playServe()
	case "deadlock", "starve":
		playStuck(role)
	case "hog":
		playHog()
	case "speaker":
		playSpeaker()
	case "activated":
		playActivated()
	case "bank":
		playBank()
	case "client":
		playClient()
	case "looker":
		playLooker()
	case "stubborn":
		playStubborn()
	case "sleep":
		time.Sleep(time.Hour)
	}
	return 0
}

// note adds a line to a file of the program's. Lines of several processes do not mix.
func note(file, format string, args ...any) {
	f, err := os.OpenFile(filepath.Join(os.Getenv(envDir), file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	_, _ = fmt.Fprintf(f, format+"\n", args...)
}

// playMark notes that it has been started, then that it is up, and every SIGUSR1.
func playMark() {
	told := make(chan os.Signal, 16)
	signal.Notify(told, unix.SIGUSR1)
	name := os.Getenv(envName)
	note(name+".starts", "%d", os.Getpid())
	note(name+".up", "")
	for range told {
		note(name+".signals", "%d", os.Getpid())
	}
}

// say speaks sd_notify(3).
func say(text string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte(text), 0, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}); err != nil {
		panic(err)
	}
}

// playStubborn notes SIGTERM, and goes on if it is to be stubborn.
func playStubborn() {
	told := make(chan os.Signal, 16)
	signal.Notify(told, unix.SIGTERM)
	say("READY=1")
	for range told {
		note("stops", "%s TERM", os.Getenv(envName))
		if os.Getenv("DAEMON_TEST_STUBBORN") == "" {
			return
		}
	}
}

// playServe serves an address, and notes that it does.
func playServe() {
	l, err := net.Listen("tcp", os.Getenv("DAEMON_TEST_ADDR"))
	if err != nil {
		panic(err)
	}
	note("order", "serves")
	for {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	}
}

// playStuck beats within its locks. When there is a file "stick", once, it gets stuck in them.
func playStuck(role string) {
	page, err := beat.New()
	if err != nil {
		panic(err)
	}
	word, err := page.Word(os.Getenv(envName))
	if err != nil {
		panic(err)
	}
	var a, b sync.Mutex
	for ; ; time.Sleep(5 * time.Millisecond) {
		a.Lock()
		b.Lock()
		word.Beat()
		b.Unlock()
		a.Unlock()
		if os.Remove(filepath.Join(os.Getenv(envDir), "stick")) != nil {
			continue
		}
		if role == "starve" {
			held := make(chan struct{})
			go func() {
				a.Lock()
				close(held)
				time.Sleep(time.Hour)
			}()
			<-held
			continue
		}
		var both sync.WaitGroup
		both.Add(2)
		cross := func(first, second *sync.Mutex) {
			first.Lock()
			both.Done()
			both.Wait()
			second.Lock()
		}
		go time.Sleep(time.Hour) // or the runtime itself would find out
		go cross(&a, &b)
		cross(&b, &a)
	}
}

// playHog holds many files open while there is a file "go".
func playHog() {
	var held []*os.File
	for ; ; time.Sleep(5 * time.Millisecond) {
		_, err := os.Stat(filepath.Join(os.Getenv(envDir), "go"))
		for err == nil && len(held) < 100 {
			f, err := os.Open(os.DevNull)
			if err != nil {
				panic(err)
			}
			held = append(held, f)
		}
		for err != nil && len(held) > 0 {
			_ = held[0].Close()
			held = held[1:]
		}
	}
}

// playSpeaker says by sd_notify what it is told by its fifo, a line each. "exit N" ends it, "store NAME" stores a descriptor.
func playSpeaker() {
	name := os.Getenv(envName)
	note(name+".environ", "WATCHDOG_USEC=%s", os.Getenv("WATCHDOG_USEC"))
	fifo, err := os.OpenFile(filepath.Join(os.Getenv(envDir), name+".fifo"), os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	note(name+".descriptors", "%s", strings.Join(passed(), " "))
	for in := bufio.NewScanner(fifo); in.Scan(); {
		word, rest, _ := strings.Cut(in.Text(), " ")
		switch word {
		case "exit":
			status, _ := strconv.Atoi(rest)
			os.Exit(status)
		case "store":
			store(rest)
		default:
			say(strings.ReplaceAll(in.Text(), ";", "\n"))
		}
	}
}

// store has a descriptor kept under a name.
func store(name string) {
	fd, err := unix.MemfdCreate("stored by the first life", 0)
	if err != nil {
		panic(err)
	}
	to, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	err = unix.Sendmsg(to, []byte("FDSTORE=1\nFDNAME="+name), unix.UnixRights(fd), &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0)
	if err != nil {
		panic(err)
	}
}

// passed returns name and target of each descriptor that this process was started with (sd_listen_fds(3)).
func passed() (all []string) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	for i, name := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
		target, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", 3+i))
		target = strings.TrimSuffix(strings.TrimPrefix(target, "/memfd:"), " (deleted)")
		all = append(all, name+"="+target)
	}
	return all
}

// playActivated answers every connection to the socket that it was given with its pid and the socket's name.
func playActivated() {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	for {
		if c, err := l.Accept(); err == nil {
			_, _ = fmt.Fprintln(c, os.Getpid(), os.Getenv("LISTEN_FDNAMES"))
			_ = c.Close()
		}
	}
}

// playBank is a process pair. Whoever founds it notes how he was started.
func playBank() {
	svc := pair.Config{Dir: os.Getenv("BANK_RUN")}.New("bank")
	balance := pair.Counter(svc, "balance")
	pair.Handle(svc, "deposit", func(_ *pair.Call, n int64) (int64, error) { return balance.Add(n), nil })
	pair.Attend(svc, pair.Attendant{Promoted: func(_ *pair.Call, how pair.Promotion) error {
		if how.First {
			dir, _ := os.Getwd()
			note("bank.founded", "%s %q %q", dir, os.Args[1:], os.Getenv("BANK_MOTTO"))
		}
		return nil
	}})
	if err := svc.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
