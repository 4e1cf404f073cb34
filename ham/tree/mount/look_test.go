package mount

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// look has another process look at a tree, since nobody is to open files of a tree that he serves himself.
func look(t *testing.T, what, dir string) {
	t.Helper()
	command := lookCommand(t, what, dir)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func lookCommand(t *testing.T, what, dir string) *exec.Cmd {
	command := exec.CommandContext(t.Context(), os.Args[0], what, dir)
	command.Env = append(os.Environ(), "TANDEM_TEST_MOUNT=look")
	return command
}

// looks are what other processes do with a tree.
var looks = map[string]func(dir string) error{
	"like at any file system": func(dir string) error {
		return errors.Join(fstest.TestFS(os.DirFS(dir), ".info", "e/.info", "e/death/.info", "e/death/empty"), same(os.DirFS(dir), sampleFS()))
	},
	"like at an entity": func(dir string) error {
		text, err := os.ReadFile(filepath.Join(dir, "e/.info"))
		if err == nil && string(text) != "Path              : e\n" {
			err = fmt.Errorf("e/.info is %q", text)
		}
		return err
	},
	"again and again": lookAgain,
	"for a change": func(dir string) error {
		for what, err := range map[string]error{
			"create": os.WriteFile(filepath.Join(dir, "new"), nil, 0o600),
			"write":  os.WriteFile(filepath.Join(dir, ".info"), []byte("x"), 0o600),
			"remove": os.Remove(filepath.Join(dir, ".info")),
			"mkdir":  os.Mkdir(filepath.Join(dir, "new"), 0o700),
		} {
			if !errors.Is(err, syscall.EROFS) {
				return fmt.Errorf("%s: %v, expected a file system that is read-only", what, err)
			}
		}
		return nil
	},
	"for long": lookLong,
}

// same compares what is seen with what was mounted.
func same(seen fs.FS, tree fstest.MapFS) error {
	n := 0
	err := fs.WalkDir(seen, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		info, err := d.Info()
		if err != nil {
			return err
		}
		want, err := fs.Stat(tree, path)
		if err != nil {
			return err
		}
		if info.Mode() != want.Mode() {
			return fmt.Errorf("%s has mode %v, expected %v", path, info.Mode(), want.Mode())
		}
		if d.IsDir() {
			return nil
		}
		text, err := fs.ReadFile(seen, path)
		if err == nil && (info.Size() != want.Size() || !bytes.Equal(text, tree[path].Data)) {
			err = fmt.Errorf("%s: size %d, text %q, expected %q", path, info.Size(), text, tree[path].Data)
		}
		return err
	})
	if err == nil && n != len(tree) {
		err = fmt.Errorf("%d files and directories, expected %d", n, len(tree))
	}
	return err
}

// lookAgain looks at a file that is longer each time that the tree is asked for it.
func lookAgain(dir string) error {
	file := filepath.Join(dir, "count")
	last := int64(0)
	for range 5 {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if info.Size() <= last {
			return fmt.Errorf("size %d after %d: expected the tree to be asked", info.Size(), last)
		}
		last = info.Size()
		if last, err = readLonger(file, last); err != nil {
			return err
		}
	}
	return nil
}

func readLonger(file string, last int64) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	switch {
	case err != nil:
		return 0, err
	case int64(len(text)) <= last:
		return 0, fmt.Errorf("%d bytes read after a size of %d: expected the tree to be asked", len(text), last)
	}
	return int64(len(text)), nil
}

// lookLong opens a file, says so, and reads on when it is told to.
func lookLong(dir string) error {
	f, err := os.Open(filepath.Join(dir, "long"))
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Println("open")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err == nil && string(text) != longText {
		err = fmt.Errorf("%d bytes read, expected %d", len(text), len(longText))
	}
	return err
}

var longText = strings.Repeat("0123456789abcde\n", 30_000)
