package filestate_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/1fb4ed1c/tandem/filestate"
)

// A primary plans a line, checkpoints that, and dies before, while or after it writes. Its backup does what was planned.
func ExampleFile() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)

	primary, _ := filestate.OpenFile(filepath.Join(dir, "journal"), os.O_CREATE, 0)
	defer primary.Close()
	backup, _ := filestate.BackupOpenFile(primary.State())
	defer backup.Close()

	offset, _ := primary.Append([]byte("paid 5 to ada\n"))
	checkpoint := primary.State() // travels in a record, together with the state and the reply
	primary.Do()                  // or not: it may die at any instruction

	backup.SetState(checkpoint)
	backup.Do()
	text, _ := os.ReadFile(backup.Path())
	fmt.Printf("at %d: %s", offset, text)
	// Output: at 0: paid 5 to ada
}
