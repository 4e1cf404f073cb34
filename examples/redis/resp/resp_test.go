package resp_test

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

const maxBulk = 1 << 20

// request writes arguments as a client does.
func request(args ...string) []byte {
	b := resp.AppendArray(nil, len(args))
	for _, a := range args {
		b = resp.AppendBulk(b, a)
	}
	return b
}

func TestARequestIsFoundHoweverItsBytesArrive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "arguments")
		next := rapid.SliceOf(rapid.Byte()).Draw(t, "what follows")
		r := request(args...)
		for n := range r {
			got, err := resp.Cut(r[:n], maxBulk)
			require.NoError(t, err)
			require.Zero(t, got, "the first %d bytes of %q are only a beginning", n, r)
		}
		got, err := resp.Cut(append(r, next...), maxBulk)
		require.NoError(t, err)
		require.Equal(t, len(r), got)
		parsed, err := resp.Parse(r, nil)
		require.NoError(t, err)
		require.Equal(t, args, texts(parsed))
	})
}

func TestInlineCommandsAreSplitAsRedisDoes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"PING\r\n":                               {"PING"},
		"  set\ta  1 \n":                         {"set", "a", "1"},
		"\r\n":                                   nil,
		"\n":                                     nil,
		`set "a b" 'c d'` + "\r\n":               {"set", "a b", "c d"},
		`set "\x41\n\"\q" 'it\'s \n'` + "\n":     {"set", "A\n\"q", `it's \n`},
		`set a"b"` + "\n":                        {"set", "ab"},
		`set ""` + "\n":                          {"set", ""},
		"set a\x00b c\n":                         {"set", "a"},
		"set a\vb\n":                             {"set", "a\vb"},
		"\vset \f\n":                             {"set"},
		"set \"\\x4\"\n":                         {"set", "x4"},
		strings.Repeat("x", 64<<10-2) + " y\n":   {strings.Repeat("x", 64<<10-2), "y"},
		strings.Repeat("x ", 3) + "\"\\\\\"\r\n": {"x", "x", "x", `\`},
		strings.Repeat(" ", 10) + "DEBUG x\r\n\n": {"DEBUG", "x"},
	} {
		n, err := resp.Cut([]byte(line), maxBulk)
		require.NoError(t, err, "%q", line)
		got, err := resp.Parse([]byte(line)[:n], nil)
		require.NoError(t, err, "%q", line)
		require.Equal(t, want, texts(got), "%q", line)
	}
	for _, line := range []string{"set \"a\n", "set 'a\n", "set \"a\"b\n", "set 'a'b\n", "set \"a\\\n", "set \"a\x00\"\n"} {
		_, err := resp.Parse([]byte(line), nil)
		require.Equal(t, resp.ErrQuotes, err, "%q", line)
	}
}

func TestWhatNoClientMaySendIsRefusedAsRedisDoes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("1", 64<<10+2)
	for sent, want := range map[string]resp.ProtocolError{
		"*abc\r\n":                        resp.ErrCount,
		"*\r\n":                           resp.ErrCount,
		"*+1\r\n":                         resp.ErrCount,
		"*01\r\n":                         resp.ErrCount,
		"*2147483648\r\n":                 resp.ErrCount,
		"*" + long:                        resp.ErrCountTooLong,
		"*1\r\n:1\r\n":                    "Protocol error: expected '$', got ':'",
		"*1\r\n$-1\r\n":                   resp.ErrBulkLen,
		"*1\r\n$x\r\n":                    resp.ErrBulkLen,
		"*1\r\n$1048577\r\n":              resp.ErrBulkLen,
		"*1\r\n$9999999999999999999\r\n":  resp.ErrBulkLen,
		"*1\r\n$99999999999999999999\r\n": resp.ErrBulkLen,
		"*1\r\n$" + long:                  resp.ErrBulkLenTooLong,
		strings.Repeat("x", 64<<10+1):     resp.ErrInlineTooLong,
	} {
		n, err := resp.Cut([]byte(sent), maxBulk)
		require.Zero(t, n)
		require.Equal(t, want, err, "%.40q", sent)
	}
	for _, nothing := range []string{"*0\r\n", "*-1\r\n", "*-9223372036854775808\r\n"} {
		n, err := resp.Cut([]byte(nothing), maxBulk)
		require.NoError(t, err)
		require.Len(t, nothing, n)
		args, err := resp.Parse([]byte(nothing), nil)
		require.NoError(t, err)
		require.Empty(t, args)
	}
}

func TestIntegersAreReadAsStrictlyAsRedisDoes(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, -1, 42, math.MaxInt64, math.MinInt64} {
		got, ok := resp.Integer(strconv.AppendInt(nil, n, 10))
		require.True(t, ok)
		require.Equal(t, n, got)
	}
	for _, no := range []string{"", "-", "+1", "01", "-0", "-01", "1 ", " 1", "1.0", "0x1", "9223372036854775808", "-9223372036854775809", "99999999999999999999"} {
		_, ok := resp.Integer([]byte(no))
		require.False(t, ok, "%q", no)
	}
}

func TestRepliesAreAsTheProtocolWantsThem(t *testing.T) {
	t.Parallel()
	b := resp.AppendSimple(nil, "OK")
	b = resp.AppendError(b, "ERR a\r\nb")
	b = resp.AppendInt(b, -12)
	b = resp.AppendBulk(b, "a\r\nb")
	b = resp.AppendBulk(b, []byte{})
	b = resp.AppendArray(b, 10)
	b = resp.AppendNull(b)
	b = resp.AppendNullArray(b)
	require.Equal(t, "+OK\r\n-ERR a  b\r\n:-12\r\n$4\r\na\r\nb\r\n$0\r\n\r\n*10\r\n$-1\r\n*-1\r\n", string(b))
}

func texts(args [][]byte) (s []string) {
	for _, a := range args {
		s = append(s, string(a))
	}
	return s
}

func FuzzCutAndParse(f *testing.F) {
	f.Add(request("SET", "key", "value"))
	f.Add([]byte("set \"a\\x41\" 'b'\r\n*1\r\n$4\r\nPING\r\n"))
	f.Add([]byte("*-1\r\n*2147483647\r\n$0\r\n"))
	f.Add([]byte("*1\r\n$1048577\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := resp.Cut(b, maxBulk)
		if err != nil || n == 0 {
			require.Zero(t, n)
			return
		}
		require.LessOrEqual(t, n, len(b))
		early, err := resp.Cut(b[:n-1], maxBulk)
		require.NoError(t, err)
		require.Zero(t, early, "a request has one end, whatever has arrived")
		args, err := resp.Parse(b[:n], nil)
		if err != nil {
			require.NotEqual(t, byte('*'), b[0], "what Cut has found can be parsed")
			return
		}
		size := 0
		for _, a := range args {
			size += len(a)
		}
		require.LessOrEqual(t, size, n)
		again, err := resp.Parse(request(texts(args)...), nil)
		require.NoError(t, err)
		require.Equal(t, texts(args), texts(again))
	})
}

// FuzzParse gives Parse what Cut would never find.
func FuzzParse(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nabc"))
	f.Add([]byte("*2\r\n$-3\r\nabc"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = resp.Parse(b, nil) })
}

func BenchmarkCutAndParse(b *testing.B) {
	r := request("SET", "key:000000012345", "xxx")
	args := make([][]byte, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		n, _ := resp.Cut(r, maxBulk)
		args, _ = resp.Parse(r[:n], args[:0])
	}
}

func ExampleCut() {
	in := []byte("*1\r\n$4\r\nPING\r\n*1\r\n$4")
	n, err := resp.Cut(in, 1<<20)
	args, _ := resp.Parse(in[:n], nil)
	fmt.Printf("%d %s %v\n", n, bytes.Join(args, []byte(" ")), err)
	// Output: 14 PING <nil>
}
