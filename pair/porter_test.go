package pair_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

// The porter is a service with an attendant. What it does outside is to add lines to a file. envPorter names its directory.
const envPorter = "PORTER"

// Order asks the porter for a line outside.
type Order struct {
	Line string `msgpack:"l"`
	Fail bool   `msgpack:"f"` // refuse the call after that was planned
}

// Who is a requester as the porter sees it.
type Who struct {
	Opener uint64 `msgpack:"o"`
	UID    uint32 `msgpack:"u"`
	PID    int    `msgpack:"p"`
}

// porterFile is the path of a file of the porter's.
func porterFile(name string) string { return filepath.Join(os.Getenv(envPorter), name) }

// outside adds a line to a file. Lines of two processes do not mix.
func outside(name, line string) {
	f, err := os.OpenFile(porterFile(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	_, _ = f.WriteString(line + "\n")
}

func porter(cfg pair.Config) *pair.Service {
	cfg.AtPoint = dieIfTold
	svc := cfg.New("porter")
	told := pair.Queue[string](svc, "told")
	closed := pair.Map[uint64, int](svc, "closed")
	var feed *pair.Input[string]
	feed = pair.NewInput(svc, "feed", func(c *pair.Call, text string) error {
		told.Push(text)
		if strings.HasPrefix(text, "refuse") {
			c.After(func() { outside("done", text) })
			return errRefused
		}
		if n, ok := strings.CutPrefix(text, "then "); ok {
			c.After(func() { feed.Post(n) })
		}
		return nil
	})
	pair.Attend(svc, pair.Attendant{
		Promoted: func(c *pair.Call, how pair.Promotion) error {
			told.Push(fmt.Sprintf("promoted first=%t planned=%t", how.First, how.Planned))
			outside("fence", "promoted")
			c.After(func() { outside("fence", "acted") })
			return nil
		},
		Demoted: func() { outside("demoted", "demoted") },
		Closed: func(c *pair.Call) error {
			closed.Set(c.Opener(), closed.Get(c.Opener())+1)
			return nil
		},
	})
	pair.Handle(svc, "order", func(c *pair.Call, o Order) (struct{}, error) {
		told.Push(o.Line)
		for i := range 2 {
			c.After(func() { outside("done", fmt.Sprint(o.Line, " ", i)) })
		}
		if o.Fail {
			return struct{}{}, errRefused
		}
		return struct{}{}, nil
	})
	pair.Handle(svc, "feed", func(_ *pair.Call, texts []string) (struct{}, error) {
		for _, text := range texts {
			feed.Post(text)
		}
		return struct{}{}, nil
	})
	pair.Handle(svc, "told", func(*pair.Call, struct{}) (all []string, _ error) {
		for text := range told.All() {
			all = append(all, text)
		}
		return all, nil
	})
	pair.Handle(svc, "closed", func(_ *pair.Call, opener uint64) (int, error) { return closed.Get(opener), nil })
	pair.Handle(svc, "who", func(c *pair.Call, _ struct{}) (Who, error) {
		uid, pid := c.Sender()
		return Who{c.Opener(), uid, pid}, nil
	})
	pair.Handle(svc, "panic", func(*pair.Call, struct{}) (struct{}, error) {
		if os.Remove(porterFile("panic")) == nil {
			panicSlowly()
		}
		return struct{}{}, nil
	})
	if door := os.Getenv(envDoor); door != "" {
		pair.Admit(svc, door)
	}
	return svc
}

// envDoor is where the porter admits processes of other users.
const envDoor = "PORTER_DOOR"

// dieIfTold kills this process at a point that there is a file for: the first passage that finds it.
func dieIfTold(p pair.Point) {
	if os.Remove(porterFile("kill-"+p.String())) == nil {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
}

// panicSlowly panics in a process that cannot print why: nobody reads its standard error. So it lives on for a while after its
// death was announced, and acts.
func panicSlowly() {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return
	}
	for b := make([]byte, 4096); ; {
		if _, err := unix.Write(p[1], b); err != nil {
			break
		}
	}
	_ = unix.SetNonblock(p[1], false)
	_ = unix.Dup3(p[1], 2, 0)
	go func() {
		for ; ; time.Sleep(time.Millisecond) {
			outside("fence", "the old primary lives")
		}
	}()
	panic("slowly")
}

// startPorter starts the pair and returns the directory where it works.
func startPorter(t *testing.T, env ...string) (*pairtest.Pair, string) {
	dir := t.TempDir()
	return start(t, "porter", append(env, set(envPorter, dir))...), dir
}

func linesOf(t *testing.T, dir, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}
