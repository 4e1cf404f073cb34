package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// Words as people write them.

// duration is a time such as "1s" or "250ms".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no time, expected one such as \"1s\" or \"250ms\"", b)
	}
	*d = duration(v)
	return nil
}

// size is a number of bytes, such as 1024 or "64MiB".
type size int64

var units = []struct {
	name string
	n    float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// UnmarshalTOML implements toml.Unmarshaler.
func (s *size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		*s = size(v)
		return nil
	case string:
		for _, u := range units {
			if number, ok := strings.CutSuffix(v, u.name); ok {
				if f, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil && f >= 0 && f*u.n < math.MaxInt64 {
					*s = size(f * u.n)
					return nil
				}
			}
		}
	}
	return fmt.Errorf("%v is no size, expected bytes, or text such as \"64MiB\"", v)
}

// signalNumber is a signal by name ("TERM", "SIGTERM") or number.
type signalNumber int

// UnmarshalTOML implements toml.Unmarshaler.
func (s *signalNumber) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v > 0 && v <= 64 {
			*s = signalNumber(v)
			return nil
		}
	case string:
		if n := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(v), "SIG")); n != 0 {
			*s = signalNumber(n)
			return nil
		}
	}
	return fmt.Errorf("%v is no signal, expected a name such as \"TERM\", or a number from 1 to 64", v)
}

// match is "any", a number, a list of numbers, or { not = [...] }.
type match core.Match

// UnmarshalTOML implements toml.Unmarshaler.
func (m *match) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		if v == "any" {
			m.Any = true
			return nil
		}
	case int64:
		m.Values = []int64{v}
		return nil
	case []any:
		if values, ok := numbers(v); ok {
			m.Values = values
			return nil
		}
	case map[string]any:
		list, isList := v["not"].([]any)
		if one, ok := v["not"].(int64); ok {
			list, isList = []any{one}, true
		}
		if values, ok := numbers(list); ok && isList && len(v) == 1 {
			m.Not, m.Values = true, values
			return nil
		}
	}
	return fmt.Errorf("%v matches nothing, expected \"any\", a number, a list of numbers, or { not = [...] }", v)
}

func numbers(list []any) (out []int64, ok bool) {
	for _, v := range list {
		n, isNumber := v.(int64)
		if !isNumber {
			return nil, false
		}
		out = append(out, n)
	}
	return out, len(out) > 0
}

// limitValue is a resource limit: a number, "unlimited", or [soft, hard].
type limitValue struct{ soft, hard uint64 }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *limitValue) UnmarshalTOML(v any) error {
	one := func(v any) (uint64, bool) {
		if v == "unlimited" {
			return core.Unlimited, true
		}
		n, ok := v.(int64)
		return uint64(n), ok && n >= 0
	}
	if list, ok := v.([]any); ok && len(list) == 2 {
		soft, ok1 := one(list[0])
		hard, ok2 := one(list[1])
		if ok1 && ok2 && soft <= hard {
			l.soft, l.hard = soft, hard
			return nil
		}
	} else if n, ok := one(v); ok {
		l.soft, l.hard = n, n
		return nil
	}
	return fmt.Errorf("%v is no limit, expected a number, \"unlimited\", or [soft, hard] with soft at most hard", v)
}
