package pair

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPrimaryThatWaitsForItsDiskShowsProgress(t *testing.T) {
	t.Parallel()
	m := &member{cfg: Config{HangAfter: 10 * time.Millisecond}, link: &link{page: &page{}}}
	want := errors.New("at last")
	err := m.whileBeating(func() error {
		for m.link.page.primaryBeat.Load() < 3 {
			runtime.Gosched()
		}
		return want
	})
	require.Equal(t, want, err)
	m.link = nil
	require.Equal(t, want, m.whileBeating(func() error { return want }), "and without a backup nobody counts")
}
