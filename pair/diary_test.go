package pair_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/1fb4ed1c/tandem/pair"
)

// The diary is the service that the tests upgrade. Like the ledger it makes entries; which version of it a process is,
// depends on the name of its file: a copy of the test binary called diary-VERSION.

// newVersion makes a program file of a version of the diary.
func newVersion(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "diary-"+version)
	copyProgram(t, path)
	return path
}

func copyProgram(t *testing.T, path string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer from.Close()
	syscall.ForkLock.RLock() // a file that a child holds open for writing cannot be executed
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	require.NoError(t, err)
	_, err = io.Copy(to, from)
	require.NoError(t, errors.Join(err, to.Close()))
}

// version is which one this process is; the test binary itself is the first.
func version() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	name := strings.TrimSuffix(filepath.Base(path), " (deleted)")
	if v, ok := strings.CutPrefix(name, "diary-"); ok {
		return v
	}
	return "1"
}

// envGate is a directory. As long as there is a file "joining" in it, no later version asks to join; as long as there is
// "filling", none takes in the state.
const envGate = "DIARY_GATE"

func waitAtGate(name string) {
	for version() != "1" && os.Getenv(envGate) != "" {
		if _, err := os.Stat(filepath.Join(os.Getenv(envGate), name)); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// seal is a value at which some versions fail when they are to take it in.
type seal struct{ N int64 }

// EncodeMsgpack implements msgpack.CustomEncoder.
func (s seal) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(s.N) }

// DecodeMsgpack implements msgpack.CustomDecoder.
func (s *seal) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	waitAtGate("filling")
	switch version() {
	case "exits":
		fmt.Fprintln(os.Stderr, "the seal is broken")
		os.Exit(7)
	case "hangs":
		select {}
	}
	s.N, err = d.DecodeInt64()
	return err
}

// newReceipt and newMade have one field more than those of the first version.
type newReceipt struct {
	Serial int64  `msgpack:"s"`
	Dice   int64  `msgpack:"d"`
	At     int64  `msgpack:"a"`
	Fill   []byte `msgpack:"f"`
	By     string `msgpack:"by"`
}

type newMade struct {
	Times   int64      `msgpack:"t"`
	Receipt newReceipt `msgpack:"r"`
	By      string     `msgpack:"by"`
}

// diary runs whatever version this process is.
func diary(ctx context.Context, cfg pair.Config) error {
	v := version()
	switch v {
	case "talks": // and is no pair
		fmt.Println("I would rather not")
		return nil
	case "sleeps":
		time.Sleep(time.Hour)
	case "stranger":
		return cfg.New("stranger").Run(ctx)
	case "neighbour":
		cfg = cfg.Speaking(2)
	case "distant":
		cfg = cfg.Speaking(3)
	}
	waitAtGate("joining")
	svc := cfg.New("diary")
	pair.Handle(svc, "version", func(*pair.Call, struct{}) (string, error) { return v, nil })
	switch v {
	case "1":
		addEntries(svc)
	case "forgetful": // does not track the entries
		pair.Counter(svc, "serial")
	case "strict": // tracks them as something else
		pair.Map[uint64, string](svc, "made")
		pair.Counter(svc, "serial")
	default:
		addNewEntries(svc)
	}
	pair.Value(svc, "seal", seal{1})
	return svc.Run(ctx)
}

// addEntries is the first version.
func addEntries(svc *pair.Service) {
	made := pair.Map[uint64, Made](svc, "made")
	serial := pair.Counter(svc, "serial")
	pair.Handle(svc, "enter", func(c *pair.Call, e Entry) (Receipt, error) {
		m := made.Get(key(e))
		m.Times++
		m.Receipt = Receipt{Serial: serial.Add(1), Dice: c.Rand().Int64(), At: c.Now().UnixNano()}
		made.Set(key(e), m)
		return m.Receipt, nil
	})
	pair.Handle(svc, "made", func(_ *pair.Call, q Question) ([]Made, error) { return pick(made.Lookup, q), nil })
}

// addNewEntries is every later version: with more state, in another order, with more fields, and with handlers that come
// to other results.
func addNewEntries(svc *pair.Service) {
	notes := pair.Map[string, int64](svc, "notes")
	serial := pair.Counter(svc, "serial")
	made := pair.Map[uint64, newMade](svc, "made")
	pair.Handle(svc, "enter", func(c *pair.Call, e Entry) (newReceipt, error) {
		m := made.Get(key(e))
		m.Times++
		m.By = version()
		m.Receipt = newReceipt{Serial: serial.Add(2), Dice: -c.Rand().Int64(), At: c.Now().UnixNano(), By: version()}
		made.Set(key(e), m)
		notes.Set("entries", notes.Get("entries")+1)
		return m.Receipt, nil
	})
	pair.Handle(svc, "made", func(_ *pair.Call, q Question) ([]newMade, error) { return pick(made.Lookup, q), nil })
	pair.Handle(svc, "note", func(_ *pair.Call, n int64) (int64, error) {
		old := notes.Get("note")
		notes.Set("note", n)
		return old, nil
	})
}

func key(e Entry) uint64 { return uint64(e.Client)<<32 | uint64(e.N) }

// pick answers a Question.
func pick[M any](lookup func(uint64) (M, bool), q Question) (out []M) {
	for n := q.From; len(out) < atOnce; n++ {
		m, ok := lookup(uint64(q.Client)<<32 | uint64(n))
		if !ok {
			break
		}
		out = append(out, m)
	}
	return out
}
