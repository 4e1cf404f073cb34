package receive

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorSaysWhatFailedAndWhetherItMayHaveBeenApplied(t *testing.T) {
	t.Parallel()
	err := failed("call transfer on bank", ErrPathDown, Maybe, errors.New("nobody is listening"))
	require.EqualError(t, err, "cannot call transfer on bank: nobody serves: nobody is listening (error 201, may have been applied)")
	require.EqualError(t, NewError(300, "insufficient funds"), "insufficient funds (error 300)")
	require.EqualError(t, answered("call x on y", 0x12c, ""), "cannot call x on y: refused (error 300)")
}

func TestErrorsAreFoundByTheirCode(t *testing.T) {
	t.Parallel()
	insufficient := NewError(300, "insufficient funds")
	answer := answered("call transfer on bank", 300, "3 missing")
	require.ErrorIs(t, answer, insufficient)
	require.NotErrorIs(t, answer, NewError(301, "insufficient funds"))
	require.ErrorIs(t, failed("call", ErrTimeout, Maybe, context.DeadlineExceeded), context.DeadlineExceeded)
	require.ErrorIs(t, failed("call", ErrTimeout, Maybe, context.DeadlineExceeded), ErrTimeout)
	require.NotErrorIs(t, NewError(CodeApplication, "one"), NewError(CodeApplication, "another"),
		"errors without a code of their own are told apart by their text")
}

func TestNewErrorLeavesSystemCodesToTheSystem(t *testing.T) {
	t.Parallel()
	for _, code := range []int{-1, 0, 60, 255, 512} {
		require.Equal(t, CodeApplication, NewError(code, "x").Code)
	}
	require.Equal(t, CodeApplicationMax, NewError(CodeApplicationMax, "x").Code)
}

func TestDescribeTellsARequesterWhatConcernsIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		code int
		text string
	}{
		{"success", nil, 0, ""},
		{"any error", errors.New("no such account"), CodeApplication, "no such account"},
		{"an application code", NewError(300, "insufficient funds"), 300, "insufficient funds"},
		{"a wrapped application code", fmt.Errorf("ada: %w", NewError(300, "insufficient funds")), 300, "ada: insufficient funds"},
		{"an error of this server", ErrNoMethod, -3, "no such method"},
		{
			"a failed call to a third", failed("call rate on forex", ErrPathDown, No, nil), CodeApplication,
			"cannot call rate on forex: nobody serves (error 201)",
		},
	} {
		code, text := Describe(c.err)
		require.Equal(t, c.code, code, c.name)
		require.Equal(t, c.text, text, c.name)
	}
}

func TestMayBeApplied(t *testing.T) {
	t.Parallel()
	require.True(t, MayBeApplied(nil), "a success was applied")
	require.True(t, MayBeApplied(errors.New("unknown")), "nothing is known of a foreign error")
	require.True(t, MayBeApplied(fmt.Errorf("wrapped: %w", answered("call", codeOf(ErrTooOld), ""))))
	require.False(t, MayBeApplied(answered("call", 300, "insufficient funds")), "a refused call changes nothing")
	require.False(t, MayBeApplied(failed("call", ErrTimeout, No, context.DeadlineExceeded)))
	require.Equal(t, "no maybe", No.String()+" "+Maybe.String())
}
