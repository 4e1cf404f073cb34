package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/tree"
	"github.com/1fb4ed1c/tandem/ham/tree/mount"
)

var _ tree.Source = (*ham.Client)(nil)

// onTree is a verb on a place of HAM's tree, by default its root.
func (g *global) onTree(cmd *cobra.Command, do func(w io.Writer, fsys fs.FS, at string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at := "."
		if len(args) > 0 {
			at = cleanPath(args[0])
		}
		return g.withHAM(func(ctx context.Context, c *ham.Client) error {
			return do(cmd.OutOrStdout(), tree.New(ctx, c), at)
		})
	}
	cmd.ValidArgsFunction = g.completeTree
	return g.asksHAM(cmd)
}

// cleanPath takes what people type for a path of an fs.FS.
func cleanPath(s string) string {
	if s = strings.TrimPrefix(path.Clean("/"+s), "/"); s == "" {
		return "."
	}
	return s
}

// completeTree offers what is in the directory of what was begun.
func (g *global) completeTree(_ *cobra.Command, args []string, begun string) (offers []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	dir, _ := path.Split(begun)
	_ = g.onHAM(ctx, func(ctx context.Context, c *ham.Client) error {
		entries, err := fs.ReadDir(tree.New(ctx, c), cleanPath(dir))
		for _, e := range entries {
			offers = append(offers, dir+slashed(e))
		}
		return err
	})
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// slashed is the name of a file, with a slash if it is a directory.
func slashed(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func newLs(g *global) *cobra.Command {
	return g.onTree(&cobra.Command{
		Use:   "ls [PATH]",
		Short: "List a directory of HAM's tree",
		Long: "Lists a directory of HAM's tree: entities are directories, their conditions directories in these, actions files. Each has a file\n" +
			".info, and each file a twin in JSON.",
		Args: takes(0, 1, "a PATH in HAM's tree, or nothing for its root"),
	}, func(w io.Writer, fsys fs.FS, at string) error {
		entries, err := fs.ReadDir(fsys, at)
		for _, e := range entries {
			if _, err := fmt.Fprintln(w, printable(slashed(e))); err != nil {
				return err
			}
		}
		return err
	})
}

func newCat(g *global) *cobra.Command {
	return g.onTree(&cobra.Command{
		Use:   "cat PATH",
		Short: "Show a file of HAM's tree",
		Args:  takes(1, 1, "a PATH in HAM's tree, such as .info or cache/death/restart.json"),
	}, func(w io.Writer, fsys fs.FS, at string) error {
		text, err := fs.ReadFile(fsys, at)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
}

func newTree(g *global) *cobra.Command {
	return g.onTree(&cobra.Command{
		Use:   "tree [PATH]",
		Short: "Show HAM's tree of entities, conditions and actions",
		Args:  takes(0, 1, "a PATH in HAM's tree, or nothing for its root"),
	}, func(w io.Writer, fsys fs.FS, at string) error {
		return draw(w, fsys, at, "")
	})
}

// draw shows what is below a directory, without the files that only describe.
func draw(w io.Writer, fsys fs.FS, at, margin string) error {
	entries, err := fs.ReadDir(fsys, at)
	if err != nil {
		return err
	}
	var shown []fs.DirEntry
	for _, e := range entries {
		if e.IsDir() || at != "." && !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), ".json") {
			shown = append(shown, e)
		}
	}
	for i, e := range shown {
		branch, below := "├── ", "│   "
		if i == len(shown)-1 {
			branch, below = "└── ", "    "
		}
		if _, err := fmt.Fprintln(w, margin+branch+printable(e.Name())); err != nil {
			return err
		}
		if e.IsDir() {
			if err := draw(w, fsys, path.Join(at, e.Name()), margin+below); err != nil {
				return err
			}
		}
	}
	return nil
}

func newMount(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mount DIR",
		Short: "Mount HAM's tree at a directory, read-only, until it is interrupted",
		Long: "Mounts HAM's tree at DIR (FUSE), as QNX has it at /proc/ham, and stays until it is interrupted or DIR is unmounted. What is read there is\n" +
			"what is true at that moment. Users other than root need fusermount3, of the package fuse3.",
		Args: takes(1, 1, "a DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, cancel := untilSignalled()
			defer cancel()
			return g.onHAM(ctx, func(ctx context.Context, c *ham.Client) error {
				log := slog.New(slog.NewTextHandler(os.Stderr, nil))
				m, err := mount.Mount(args[0], tree.New(context.WithoutCancel(ctx), c), log)
				if err != nil {
					return err
				}
				defer context.AfterFunc(ctx, func() {
					if err := m.Unmount(); err != nil {
						log.Error("cannot unmount", "dir", args[0], "cause", err)
					}
				})()
				m.Wait()
				return nil
			})
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	return g.asksHAM(cmd)
}
