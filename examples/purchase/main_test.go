package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary the server, too, when a pair is started from it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// T1 of nonstop.md §12.4.
func TestT01_ACreditPurchaseNeedsThreeUpdatePoints(t *testing.T) {
	t.Parallel()
	for _, points := range []int{2, 3} {
		for at := wasRead; at <= wasReplied; at++ {
			if points == 2 && at == wasPlanned {
				continue
			}
			t.Run(fmt.Sprintf("%d points, killed after %v", points, at), func(t *testing.T) {
				t.Parallel()
				r, err := buy(t.Context(), filepath.Join(t.TempDir(), "pair"), points, at)
				require.NoError(t, err)
				require.EqualValues(t, 2, r.epoch, "the first primary was to be killed")
				require.EqualValues(t, 495, r.balance, "broken promise: the account changes once")
				if points == 2 && at == wasWritten {
					require.True(t, r.refused, "two update points would have been enough: the example shows nothing")
					return
				}
				require.False(t, r.refused, "broken promise: a purchase within the limit is not refused")
			})
		}
	}
}

func TestARecordWrittenAgainChangesNothing(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "accounts"))
	require.NoError(t, err)
	defer f.Close()
	for range 2 {
		want := account{Number: first, Balance: 495, Limit: 500}
		_, err = f.WriteAt(want.line(), 0)
		require.NoError(t, err)
		got, at, err := fetch(f, first)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Zero(t, at)
	}
	_, _, err = fetch(f, first+1)
	require.ErrorContains(t, err, "cannot read account 12346")
}

func TestTheTableNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, printTable(&out, func(points int, at step) (result, error) {
		return result{refused: points == 2 && at == wasWritten, balance: 495}, nil
	}))
	require.Regexp(t, `(?m)^account written +REFUSED, balance 495 \(wrong\) +bought, balance 495$`, out.String())
	require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("(wrong)")), "%s", &out)
	failed := errors.New("no descriptors")
	require.ErrorIs(t, printTable(&out, func(int, step) (result, error) { return result{}, failed }), failed)
}
