package tree

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// column is where values begin: the longest name of a field has 17 letters.
const column = 18

// sheet is a page of fields.
type sheet []field

// field is a line of a page. Values are strings, whole numbers, float64, bool (ON, OFF), time.Time (zero: none), time.Duration, []string,
// heading, said, chronicle, or nil: none.
type field struct {
	name  string
	value any
}

// heading is the value of a line that only says what follows.
type heading struct{}

// said is a value that is put into words for people.
type said struct {
	words string
	value any // for JSON
}

func (s sheet) text() []byte {
	var b bytes.Buffer
	for _, f := range s {
		switch v := f.value.(type) {
		case heading:
			fmt.Fprintf(&b, "%s:\n", f.name)
		case chronicle:
			fmt.Fprintf(&b, "%s:\n%s", f.name, v.text())
		default:
			fmt.Fprintf(&b, "%-*s: %s\n", column, f.name, inWords(f.value))
		}
	}
	return b.Bytes()
}

// inWords returns a value as people read it, on one line; "-" if there is none.
func inWords(v any) string {
	s := ""
	switch v := v.(type) {
	case nil:
	case string:
		s = oneLine(v)
	case bool:
		s = map[bool]string{true: "ON", false: "OFF"}[v]
	case float64:
		s = strconv.FormatFloat(v, 'f', 2, 64)
	case time.Time:
		if !v.IsZero() {
			s = stamp(v)
		}
	case []string:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = oneLine(w)
		}
		s = strings.Join(words, ", ")
	case said:
		s = oneLine(v.words)
	default:
		s = fmt.Sprint(v)
	}
	if s == "" {
		return "-"
	}
	return s
}

// oneLine returns s, quoted if it is more than a line or could not be shown.
func oneLine(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029'
	}) {
		return strconv.Quote(s)
	}
	return s
}

// stamp returns a time as QNX's /proc/ham prints it.
func stamp(t time.Time) string {
	return fmt.Sprintf("%s:%09d", t.Format("2006/01/02 15:04:05"), t.Nanosecond())
}

// wall returns the time of Unix nanoseconds; the zero time of 0.
func wall(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func (s sheet) json() []byte { return indented(s) }

// MarshalJSON writes the fields in their order.
func (s sheet) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for _, f := range s {
		if _, ok := f.value.(heading); ok {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, keyOf(f.name)), ':')
		v, err := json.Marshal(forJSON(f.value))
		if err != nil {
			return nil, fmt.Errorf("cannot encode %q: %w", f.name, err)
		}
		b = append(b, v...)
	}
	return append(b, '}'), nil
}

// forJSON returns a value as programs read it.
func forJSON(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
	case []string:
		if v == nil {
			return []string{}
		}
	case chronicle:
		return append([]core.Happening{}, v...)
	case said:
		return v.value
	}
	return v
}

// keyOf returns the key of a field's name.
func keyOf(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), " ", "_")
}

// indented encodes what always can be.
func indented(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil { // a number that is none, in a record that was never checked
		b, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	return append(b, '\n')
}
