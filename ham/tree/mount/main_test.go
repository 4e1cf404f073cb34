package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// TestMain plays what other processes do.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "fusermount3" {
		os.Exit(fusermount(os.Args[1:]))
	}
	switch os.Getenv("TANDEM_TEST_MOUNT") {
	case "look": // is somebody who looks at a tree
		if err := looks[os.Args[1]](os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "serve": // mounts a tree, says so, and waits for its end
		if _, err := Mount(os.Args[1], sampleFS(), nil); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("mounted")
		select {}
	case "descriptors": // says what it has inherited
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			target, _ := os.Readlink("/proc/self/fd/" + e.Name())
			fmt.Println(target)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fusermount does what fusermount3 does, as far as package mount uses it.
func fusermount(args []string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "fusermount3:", err)
		return 1
	}
	dir := args[len(args)-1]
	switch {
	case os.Getenv("TANDEM_TEST_HELPER") == "refuses":
		return fail(errors.New("mount point is not yours"))
	case os.Getenv("TANDEM_TEST_HELPER") == "silent":
		return 0
	case strings.Join(args[:len(args)-1], " ") == "-u -z --":
		if err := detach(dir, ""); err != nil {
			return fail(err)
		}
		return 0
	}
	fd, err := mountAsRoot(dir)
	if err == nil {
		err = unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0)
	}
	if err != nil {
		return fail(err)
	}
	return 0
}

func sampleFS() fstest.MapFS {
	return fstest.MapFS{
		".":             {Mode: fs.ModeDir | 0o500},
		".info":         {Data: []byte("Ham Pid           : 1\n"), Mode: 0o400},
		"e":             {Mode: fs.ModeDir | 0o500},
		"e/.info":       {Data: []byte("Path              : e\n"), Mode: 0o400},
		"e/death":       {Mode: fs.ModeDir | 0o500},
		"e/death/.info": {Data: []byte("Path              : e/death\n"), Mode: 0o400},
		"e/death/empty": {Mode: 0o400},
	}
}
