package pair

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

var errSimulated = errors.New("simulated")

func TestARefusalIsPlannedOrSaysWhy(t *testing.T) {
	t.Parallel()
	for _, err := range []error{ErrThirdMember, ErrNotPrimary, ErrWrongInstance, ErrVersion, ErrNotSynchronised, ErrStopping} {
		code, text := refusalCode(fmt.Errorf("because: %w", err))
		got := refusal(code, text)
		if errors.Is(err, ErrNotPrimary) {
			err = errRetry // looked for again
		}
		if !errors.Is(got, err) {
			t.Errorf("broken promise: %v arrives as %v", err, got)
		}
	}
	code, text := refusalCode(errSimulated)
	if got := refusal(code, text); !strings.Contains(got.Error(), errSimulated.Error()) {
		t.Errorf("broken promise: a refusal says why, not %q", got)
	}
}
