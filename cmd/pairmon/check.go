package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/config"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a file, or what HAM would start from it, and in which order",
		Long: "Reads FILE as serve does, and tries it out on the rules of HAM, without starting anything. Mistakes are told with file and line, and\n" +
			"the exit status is 1.",
		Args: takes(1, 1, "a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			specs, err := config.Load(args[0])
			if err != nil {
				return err
			}
			r := rehearse(specs)
			if len(r.refused) > 0 {
				return refusals(args[0], r)
			}
			for i, s := range r.started {
				fmt.Fprintf(cmd.OutOrStdout(), "%d. %s\n", i+1, s)
			}
			for _, w := range r.waiting {
				fmt.Fprintln(cmd.OutOrStdout(), w)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d started\n", args[0], count(len(specs), "entity", "entities"), len(r.started))
			return nil
		},
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// refusals tells of declarations that HAM would refuse, with their places in the file.
func refusals(file string, r *rehearsal) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	var all []error
	for _, no := range r.refused {
		all = append(all, &config.Mistake{File: file, Line: lineOf(string(text), no.entity), Path: "entity " + no.entity, Text: no.err.Error()})
	}
	return errors.Join(all...)
}

// lineOf returns the line on which an entity gets its name, 0 if it is not found.
func lineOf(text, entity string) int {
	if entity == ham.Global {
		return 0
	}
	name := regexp.MustCompile(`^\s*name\s*=\s*["']` + regexp.QuoteMeta(entity) + `["']`)
	inEntity := false
	for i, line := range strings.Split(text, "\n") {
		if t := strings.TrimSpace(line); strings.HasPrefix(t, "[") {
			inEntity = strings.ReplaceAll(t, " ", "") == "[[entity]]"
		}
		if inEntity && name.MatchString(line) {
			return i + 1
		}
	}
	return 0
}
