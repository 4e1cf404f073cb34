package pair_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// The ledger is the service that most tests kill. It notes how often every entry was made, so that an entry lost or made
// twice shows, and under which serial number, so that a reply that was answered differently shows.

// Entry is what a client asks for: its nth entry.
type Entry struct {
	Client int  `msgpack:"c"`
	N      int  `msgpack:"n"`
	Size   int  `msgpack:"s"` // of the padding of the receipt, bytes
	Refuse bool `msgpack:"r"` // after the changes were made
}

// Receipt says that an entry was made.
type Receipt struct {
	Serial int64  `msgpack:"s"` // unique, grows
	Dice   int64  `msgpack:"d"` // random: another run of the handler would throw another
	At     int64  `msgpack:"a"` // time of the call
	Fill   []byte `msgpack:"f"`
}

// Made is what the ledger holds of an entry.
type Made struct {
	Times   int64   `msgpack:"t"`
	Receipt Receipt `msgpack:"r"`
}

// Question asks for entries of a client.
type Question struct {
	Client int `msgpack:"c"`
	From   int `msgpack:"f"`
}

// Swap sets a key to New if its value is Old.
type Swap struct {
	Key string `msgpack:"k"`
	Old int64  `msgpack:"o"`
	New int64  `msgpack:"n"`
}

// Alarm arms a timer.
type Alarm struct {
	After time.Duration `msgpack:"d"`
	Name  string        `msgpack:"n"`
}

const atOnce = 200 // entries in one answer

var errRefused = receive.NewError(300, "refused as asked")

func ledger(cfg pair.Config) *pair.Service {
	svc := cfg.New("ledger")
	made := pair.Map[uint64, Made](svc, "made")
	serial := pair.Counter(svc, "serial")
	refused := pair.Counter(svc, "refused")

	ran := tellRuns()
	pair.Handle(svc, "enter", func(c *pair.Call, e Entry) (Receipt, error) {
		ran.Add(1)
		key := uint64(e.Client)<<32 | uint64(e.N)
		m := made.Get(key)
		m.Times++
		m.Receipt = Receipt{Serial: serial.Add(1), Dice: c.Rand().Int64(), At: c.Now().UnixNano()}
		if e.Size > 0 {
			m.Receipt.Fill = make([]byte, e.Size)
		}
		made.Set(key, m)
		if e.Refuse {
			refused.Add(1)
			return Receipt{}, errRefused
		}
		return m.Receipt, nil
	})
	pair.Handle(svc, "made", func(_ *pair.Call, q Question) ([]Made, error) {
		var out []Made
		for n := q.From; len(out) < atOnce; n++ {
			m, ok := made.Lookup(uint64(q.Client)<<32 | uint64(n))
			if !ok {
				break
			}
			m.Receipt.Fill = nil
			out = append(out, m)
		}
		return out, nil
	})
	pair.Handle(svc, "count", func(*pair.Call, struct{}) ([]int64, error) {
		return []int64{int64(made.Len()), serial.Get(), refused.Get()}, nil
	})
	listenToLines(svc, made, serial)
	addMischief(svc)
	addKeys(svc)
	addTimers(svc)
	return svc
}

// tellRuns returns a counter, of this process alone, that is printed on SIGUSR2.
func tellRuns() *atomic.Int64 {
	var ran atomic.Int64
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGUSR2)
	go func() {
		for range told {
			fmt.Fprintf(os.Stderr, "%d ran %d entries\n", os.Getpid(), ran.Load())
		}
	}()
	return &ran
}

// addMischief adds what a service should not do.
func addMischief(svc *pair.Service) {
	tries := pair.Counter(svc, "tries")
	pair.Handle(svc, "panic", func(_ *pair.Call, text string) (int64, error) {
		panic(text)
	})
	pair.Handle(svc, "hang", func(c *pair.Call, d time.Duration) (int64, error) {
		time.Sleep(d)
		return tries.Add(1), nil
	})
	pair.Handle(svc, "try", func(*pair.Call, struct{}) (int64, error) { return tries.Get(), nil })
	// The first process that runs it dies, all others do not: what NonStop calls a soft fault.
	pair.Handle(svc, "stumble", func(c *pair.Call, first int) (int64, error) {
		if firstMember && first > 0 {
			panic(errors.New("stumbled"))
		}
		return tries.Add(1), nil
	})
}

// addKeys adds registers that can be read, set, and set on a condition.
func addKeys(svc *pair.Service) {
	values := pair.Map[string, int64](svc, "values")
	pair.Handle(svc, "get", func(_ *pair.Call, key string) (int64, error) { return values.Get(key), nil })
	pair.Handle(svc, "set", func(_ *pair.Call, s Swap) (int64, error) {
		old := values.Get(s.Key)
		values.Set(s.Key, s.New)
		return old, nil
	})
	pair.Handle(svc, "swap", func(_ *pair.Call, s Swap) (bool, error) {
		if values.Get(s.Key) != s.Old {
			return false, nil
		}
		values.Set(s.Key, s.New)
		return true, nil
	})
}

// addTimers adds timers that note that they fired.
func addTimers(svc *pair.Service) {
	fired := pair.Map[string, int64](svc, "fired")
	alarm := pair.NewTimer(svc, "alarm", func(_ *pair.Call, name string) error {
		fired.Set(name, fired.Get(name)+1)
		if name == "fails" {
			return fmt.Errorf("timer %s fails", name)
		}
		return nil
	})
	pair.Handle(svc, "arm", func(c *pair.Call, a Alarm) (uint64, error) { return alarm.After(c, a.After, a.Name) })
	pair.Handle(svc, "disarm", func(c *pair.Call, id uint64) (bool, error) { return alarm.Cancel(c, id), nil })
	pair.Handle(svc, "armed", func(*pair.Call, struct{}) (int, error) { return alarm.Len(), nil })
	pair.Handle(svc, "fired", func(*pair.Call, struct{}) (map[string]int64, error) {
		out := map[string]int64{}
		for name, n := range fired.All() {
			out[name] = n
		}
		return out, nil
	})
}
