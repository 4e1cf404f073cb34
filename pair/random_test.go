package pair_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// T19: many deaths at random moments, of either member, under load.
func TestT19ManyDeathsAtRandomMoments(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		rng := seeded(t)
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 1+rng.IntN(100)))
		first := p.WaitProtected()
		l := newLoad(t, p, 4).run(4)
		takeovers := uint64(0)
		for range 12 * *long {
			s := p.WaitProtected()
			l.await(int64(1 + rng.IntN(30)))
			spin(rng.IntN(1000))
			if rng.IntN(3) == 0 {
				p.Kill(s.Backup)
				continue
			}
			p.Kill(s.Primary)
			takeovers++
		}
		s := p.WaitProtected()
		require.Equal(t, first.Instance, s.Instance, "broken promise: the pair is never lost by one death at a time")
		require.Equal(t, takeovers, s.Takeovers)
		require.EqualValues(t, 1+takeovers, s.Epoch, "broken promise: the epoch grows by one at every takeover")
		l.finish()
		l.unbroken()
	})
}

// register is the model of one key: get, set, and set on a condition.
type registerInput struct {
	op   string
	key  string
	swap Swap
}

var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(registerInput).key
			byKey[key] = append(byKey[key], op)
		}
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		in, value := input.(registerInput), state.(int64)
		switch in.op {
		case "get":
			return output == value, value
		case "set":
			return output == value, in.swap.New
		}
		if value != in.swap.Old {
			return output == false, value
		}
		return output == true, in.swap.New
	},
	DescribeOperation: func(input, output any) string {
		in := input.(registerInput)
		return fmt.Sprintf("%s %s %d→%d: %v", in.op, in.key, in.swap.Old, in.swap.New, output)
	},
}

// A key-value pair under random deaths and switches is linearizable: to its clients there is one server that never dies.
func TestKeysAreLinearizableUnderRandomDeaths(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		rng := seeded(t)
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 1+rng.IntN(50)))
		h := &history{}
		ctx, stop := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for id := range 5 {
			c, own := p.Dial(), rand.New(rand.NewPCG(rng.Uint64(), 1))
			clients.Go(func() { h.errs.add(h.play(ctx, c, id, own)) })
		}
		for range 6 * *long {
			s := p.WaitProtected()
			h.await(t, 30)
			switch rng.IntN(4) {
			case 0:
				require.NoError(t, p.Switch())
			case 1:
				p.Kill(s.Backup)
			default:
				p.Kill(s.Primary)
			}
		}
		stop()
		clients.Wait()
		require.Empty(t, h.errs.all)
		result := porcupine.CheckOperationsTimeout(registers, h.ops, patience)
		require.NotEqual(t, porcupine.Unknown, result, "the check of %d operations took too long", len(h.ops))
		require.Equal(t, porcupine.Ok, result, "broken promise: the history of %d operations is linearizable", len(h.ops))
	})
}

// history is what the clients of a run did and saw.
type history struct {
	mu   sync.Mutex
	ops  []porcupine.Operation
	errs errorList
}

type errorList struct {
	mu  sync.Mutex
	all []error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.all = append(l.all, err)
	}
}

func (h *history) await(t *testing.T, n int) {
	t.Helper()
	until := h.len() + n
	for end := time.Now().Add(patience); h.len() < until; time.Sleep(100 * time.Microsecond) {
		require.True(t, time.Now().Before(end), "broken promise: a pair goes on; errors: %v", h.errs.all)
	}
}

func (h *history) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// play makes calls, with a little thought between them so that the history stays short enough to be checked.
func (h *history) play(ctx context.Context, c *receive.Conn, id int, rng *rand.Rand) error {
	seen := map[string]int64{}
	for n := int64(0); ctx.Err() == nil; n++ {
		key := fmt.Sprint("k", rng.IntN(4))
		in := registerInput{key: key, swap: Swap{Key: key, Old: seen[key], New: int64(id)<<32 | n}}
		op := porcupine.Operation{ClientId: id, Call: monotonic()}
		var err error
		switch rng.IntN(3) {
		case 0:
			in.op = "get"
			op.Output, err = receive.Call[int64](context.Background(), c, "get", key)
			seen[key], _ = op.Output.(int64)
		case 1:
			in.op = "set"
			op.Output, err = receive.Call[int64](context.Background(), c, "set", in.swap)
			seen[key] = in.swap.New
		default:
			in.op = "swap"
			op.Output, err = receive.Call[bool](context.Background(), c, "swap", in.swap)
		}
		if err != nil {
			return err
		}
		op.Return, op.Input = monotonic(), in
		h.mu.Lock()
		h.ops = append(h.ops, op)
		h.mu.Unlock()
		spin(200)
	}
	return nil
}
