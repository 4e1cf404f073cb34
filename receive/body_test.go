package receive_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/receive"
)

func TestABodyArrivesAsItWasEncodedAndAnythingElseIsABadRequest(t *testing.T) {
	t.Parallel()
	b, err := receive.Encode(map[string]int64{"amount": 5})
	require.NoError(t, err)
	var got struct {
		Amount int64 `msgpack:"amount"`
	}
	r := &receive.Request{Method: "add", Body: b}
	require.NoError(t, r.Decode(&got))
	require.EqualValues(t, 5, got.Amount)

	var text string
	require.ErrorIs(t, r.Decode(&text), receive.ErrBadRequest)
	require.ErrorIs(t, (&receive.Request{Body: b[:3]}).Decode(&got), receive.ErrBadRequest)
	require.ErrorIs(t, new(receive.Request).Decode(&got), receive.ErrBadRequest)
	_, err = receive.Encode(make(chan int))
	require.ErrorContains(t, err, "cannot encode a reply")
}
