package main

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func readReply(b []byte) (any, error) {
	c := &redisConn{in: bufio.NewReader(bytes.NewReader(b))}
	return c.reply()
}

func TestRepliesOfRedisAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		"+OK\r\n":                            "OK",
		":42\r\n":                            int64(42),
		"$5\r\na\r\nbc\r\n":                  "a\r\nbc",
		"$-1\r\n":                            "",
		"*3\r\n:1\r\n$1\r\nx\r\n-ERR no\r\n": []any{int64(1), "x", redisError("ERR no")},
	} {
		got, err := readReply([]byte(text))
		require.NoError(t, err, "%q", text)
		require.Equal(t, want, got, "%q", text)
	}
	_, err := readReply([]byte("-READONLY You can't write against a read only replica.\r\n"))
	require.ErrorContains(t, err, "READONLY")
}

func FuzzReplyOfRedis(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR\r\n", ":1\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n*0\r\n", "$99999999999\r\n", "*-1\r\n", "\r\n", "$1\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReply(b)
		if err != nil {
			return
		}
		switch r.(type) {
		case int64, string, []any:
		default:
			t.Fatalf("%q is read as %T: a caller knows no such reply", b, r)
		}
	})
}
