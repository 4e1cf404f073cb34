package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/config"
)

func newReload(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "reload [FILE]",
		Short: "Make HAM have what a file declares now",
		Long: "Declares what is in FILE, or in the file that was used last: what is there already and as declared is left alone, running\n" +
			"programs too. What the file declared before and does not declare now is stopped and removed; what programs have declared\n" +
			"by themselves stays. A file with a mistake changes nothing.",
		Args: takes(0, 1, "a FILE, or nothing for the one that was used last"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := g.root()
			if err != nil {
				return err
			}
			file, err := fileToLoad(root, args)
			if err != nil {
				return err
			}
			specs, err := config.Load(file)
			if err != nil {
				return err
			}
			return g.withHAM(func(ctx context.Context, c *ham.Client) error {
				a, err := apply(ctx, c, root, file, specs)
				for _, name := range a.removed {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: removed\n", name)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: declared: %s\n", file, strings.Join(a.declared, ", "))
				return err
			})
		},
	}
}

func fileToLoad(root string, args []string) (string, error) {
	if len(args) > 0 {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return "", fmt.Errorf("cannot find %s: %w", args[0], err)
		}
		return path, nil
	}
	d, err := noted(root)
	if err == nil && d.File == "" {
		err = usageError{errors.New("no file was used before: say which FILE")}
	}
	return d.File, err
}
