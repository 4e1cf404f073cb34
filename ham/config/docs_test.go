package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham/core"
)

func TestEveryKeyOfTheFileIsInTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/monitor-file.md")
	require.NoError(t, err)
	docs := string(text)
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			if key, ok := f.Tag.Lookup("toml"); ok {
				require.Truef(t, mentions(docs, key), "key %s of %v is not in docs/monitor-file.md", key, typ)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[file]())
	for on := core.OnAny; on <= core.OnResourceExceeded; on++ {
		require.Contains(t, docs, "`"+on.String()+"`")
	}
}

// mentions reports whether a key is named: by itself in backquotes, within a table that is, or in a heading.
func mentions(docs, key string) bool {
	for _, form := range []string{"`" + key + "`", "`" + key + " =", "{ " + key + " =", ", " + key + " =", "[[" + key + "]]", "[[" + key + ".", "." + key + "]]"} {
		if strings.Contains(docs, form) {
			return true
		}
	}
	return false
}
