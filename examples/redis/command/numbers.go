package command

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// float reads a number as strtod does, except that it must be one (getDoubleFromObject).
func float(arg []byte) (f float64, ok bool) {
	s := string(arg)
	if strings.ContainsRune(s, '_') {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f)
}

// appendFloat writes a score as Redis 7.0 does: "%.17g".
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15 && f != 0:
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

func (r *run) sayFloat(f float64) {
	var buf [32]byte
	r.out = resp.AppendBulk(r.out, appendFloat(buf[:0], f))
}

// INCRBYFLOAT and HINCRBYFLOAT compute with C's long double: 64 bits of mantissa.
const longDouble = 64

// longFloat reads a number as strtold does, except that it must be one, and finite or infinite but not out of range.
func longFloat(arg string) (*big.Float, bool) {
	if strings.ContainsRune(arg, '_') {
		return nil, false
	}
	f, _, err := big.ParseFloat(arg, 10, longDouble, big.ToNearestEven)
	if err != nil || !f.IsInf() && f.MantExp(nil) > 1<<14 {
		return nil, false
	}
	return f, true
}

// addFloats adds an increment to a value and writes the sum as Redis does: "%.17Lf" without trailing zeros. It is not ok
// if the sum is not finite.
func addFloats(value, increment *big.Float) (sum string, ok bool) {
	if value.IsInf() || increment.IsInf() {
		return "", false
	}
	f := new(big.Float).SetPrec(longDouble).Add(value, increment)
	if f.MantExp(nil) > 1<<14 {
		return "", false
	}
	sum = f.Text('f', 17)
	sum = strings.TrimRight(strings.TrimRight(sum, "0"), ".")
	if sum == "-0" || sum == "" {
		return "0", true
	}
	return sum, true
}

// add adds without overflow.
func add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

// span makes a range of indexes, which may count from the end, one of n elements: the first, and how many.
func span(from, to int64, n int) (first, count int) {
	if from < 0 {
		from = max(from+int64(n), 0)
	}
	if to < 0 {
		to += int64(n)
	}
	to = min(to, int64(n-1))
	if from > to {
		return 0, 0
	}
	return int(from), int(to - from + 1)
}
