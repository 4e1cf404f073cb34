package survive

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/pair"
)

// fileLine is one line of a file, by one of those who write to it.
type fileLine struct {
	Writer uint32 `msgpack:"w"`
	N      uint32 `msgpack:"n"`
	Sync   bool   `msgpack:"s"`
}

// AppendProcess runs a member of a pair that appends lines to a file.
func AppendProcess(profile *string) *cobra.Command {
	var name, path string
	c := &cobra.Command{Use: "append", RunE: func(*cobra.Command, []string) error {
		svc := pair.New(name)
		file := pair.NewFile(svc, "lines", path)
		var b []byte
		pair.Handle(svc, "append", func(_ *pair.Call, l fileLine) (int64, error) {
			b = l.append(b[:0])
			at, err := file.Append(b)
			if err == nil && l.Sync {
				err = file.Sync()
			}
			return at, err
		})
		return world.Profiled(*profile, name, func() error { return svc.Run(context.Background()) })
	}}
	c.Flags().StringVar(&name, "name", "", "")
	c.Flags().StringVar(&path, "file", "", "")
	return c
}
