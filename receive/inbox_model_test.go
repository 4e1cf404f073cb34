package receive

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestInboxAgainstAModel: every message is delivered once, in order, and every
// request answered once, whatever is pushed, cancelled and replied when.
func TestInboxAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.IntRange(1, 4).Draw(t, "depth")
		var out outbox
		in := NewInbox(InboxConfig{Depth: depth, Reply: out.deliver})
		var early, queue []Message
		held := make(map[int]*Request)
		for id := uint64(1); id <= uint64(rapid.IntRange(1, 60).Draw(t, "steps")); id++ {
			switch rapid.IntRange(0, 6).Draw(t, "event") {
			case 0, 1:
				m := request(id)
				in.Push(m)
				queue = append(queue, m)
			case 2:
				m := FromPrimary{Value: id}
				in.PushFront(m)
				early = append(early, m)
			case 3:
				m := FromPrimary{Value: id}
				in.Push(m)
				queue = append(queue, m)
			case 4:
				for tag, r := range held {
					require.NoError(t, in.Reply(tag, nil, nil))
					require.Equal(t, []Reply{{To: r}}, out.take())
					delete(held, tag)
					break
				}
			case 5:
				if len(queue) > 0 {
					i := rapid.IntRange(0, len(queue)-1).Draw(t, "cancelled")
					if r, ok := queue[i].(*Request); ok {
						require.True(t, in.Cancel(r.Opener, r.SyncID))
						queue = append(queue[:i:i], queue[i+1:]...)
					}
				}
			default:
				want := expected(&early, &queue, len(held) == depth)
				if want == nil {
					ctx, cancel := context.WithCancel(context.Background())
					cancel()
					_, err := in.ReadUpdate(ctx)
					require.Error(t, err, "nothing can be read")
					break
				}
				got := readUpdate(t, in)
				require.Equal(t, want, got, "messages must come in order")
				if r, ok := got.(*Request); ok {
					require.Less(t, r.Tag, depth)
					require.NotContains(t, held, r.Tag, "the tag is in use")
					held[r.Tag] = r
				}
			}
		}
		require.Equal(t, len(early)+len(queue), in.Len())
	})
}

// expected takes the message that must be read next from the model, nil if none can be.
func expected(early, queue *[]Message, full bool) Message {
	for _, q := range []*[]Message{early, queue} {
		for i, m := range *q {
			if _, tagged := m.(*Request); tagged && full {
				continue
			}
			*q = append((*q)[:i:i], (*q)[i+1:]...)
			return m
		}
	}
	return nil
}
