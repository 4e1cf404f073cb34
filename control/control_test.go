package control_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/control"
)

func genMessage() *rapid.Generator[control.Message] {
	return rapid.Custom(func(t *rapid.T) control.Message {
		name := rapid.StringN(0, 20, 60).Draw(t, "name")
		data := append([]byte(nil), rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data")...)
		switch rapid.IntRange(0, 3).Draw(t, "part") {
		case 0:
			return control.Open{File: name, Data: data}
		case 1:
			return control.State{Name: name, Data: data}
		case 2:
			return control.FileState{File: name, Data: data}
		default:
			return control.Point{Name: name, Data: data}
		}
	})
}

func TestACheckpointArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(genMessage(), 0, 8).Draw(t, "messages")
		b, err := control.Append(nil, sent...)
		require.NoError(t, err)
		got, err := control.Parse(b)
		require.NoError(t, err)
		require.Len(t, got, len(sent), "broken promise: a checkpoint is whole")
		for i := range sent {
			require.EqualValues(t, sent[i], got[i], "broken promise: the parts of a checkpoint stay in order")
		}
	})
}

func TestACutCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	b, err := control.Append(nil, control.State{Name: "count", Data: []byte{1}}, control.Point{Name: "idle"})
	require.NoError(t, err)
	first, err := control.Append(nil, control.State{Name: "count", Data: []byte{1}})
	require.NoError(t, err)
	for n := 1; n < len(b); n++ {
		if n == len(first) {
			continue // a shorter, whole checkpoint; the record around it tells the length
		}
		_, err := control.Parse(b[:n])
		require.ErrorIs(t, err, control.ErrMalformed, "cut at %d", n)
	}
	_, err = control.Parse([]byte{99, 0, 0, 0, 0, 0, 0})
	require.ErrorIs(t, err, control.ErrMalformed)
}

func FuzzParse(f *testing.F) {
	b, _ := control.Append(nil, control.Open{File: "a"}, control.State{Name: "n", Data: []byte("x")})
	f.Add(b)
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		msgs, err := control.Parse(b)
		if err != nil {
			require.ErrorIs(t, err, control.ErrMalformed)
			return
		}
		again, err := control.Append(nil, msgs...)
		require.NoError(t, err)
		require.Equal(t, len(b), len(again))
	})
}

func TestAPointNobodyRegisteredIsFoundBeforeTheTakeover(t *testing.T) {
	t.Parallel()
	var p control.Points
	p.Register("idle", func(control.Point) error { return nil })
	require.NoError(t, p.Check(control.State{}, control.Point{Name: "idle"}))
	require.ErrorIs(t, p.Check(control.Point{Name: "wrote"}), control.ErrUnknownPoint)
	require.ErrorIs(t, p.Resume(control.Point{Name: "wrote"}), control.ErrUnknownPoint)
	require.Panics(t, func() { p.Register("idle", nil) })
}

func ExampleAppend() {
	balance, _ := control.StateOf("balance", 495)
	b, _ := control.Append(nil, balance, control.Point{Name: "before write"})
	msgs, _ := control.Parse(b)
	for _, m := range msgs {
		switch m := m.(type) {
		case control.State:
			var n int
			_ = m.Decode(&n)
			fmt.Println(m.Name, n)
		case control.Point:
			fmt.Println("resume", m.Name)
		}
	}
	// Output:
	// balance 495
	// resume before write
}
