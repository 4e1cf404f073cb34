package filestate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// A fileModel is what a file must hold, said in the simplest way.
type fileModel struct {
	data []byte
	path string
}

func (m fileModel) clone() fileModel { return fileModel{bytes.Clone(m.data), m.path} }

func (m *fileModel) write(b []byte, off int) {
	if len(b) == 0 {
		return
	}
	if need := off + len(b); need > len(m.data) {
		m.data = append(m.data, make([]byte, need-len(m.data))...)
	}
	copy(m.data[off:], b)
}

func (m *fileModel) truncate(n int) {
	if n <= len(m.data) {
		m.data = m.data[:n:n]
		return
	}
	m.data = append(m.data, make([]byte, n-len(m.data))...)
}

// carried is what the other member finds in the checkpoint.
func carried(t require.TestingT, st FileState) (out FileState) {
	b, err := codec.Append(nil, st)
	require.NoError(t, err)
	require.NoError(t, codec.Decode(b, &out))
	return out
}

// requireOnDisk: the file itself holds what the model says, under its one name.
func requireOnDisk(t require.TestingT, m fileModel, dir, why string) {
	got, err := os.ReadFile(m.path)
	require.NoError(t, err, why)
	require.Equal(t, m.data, got, why)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1, why)
}

// A member dies after any part of what is pending, or after none, any number of times: whoever does it again from its start
// ends with the same file, and what was only planned has left no trace.
func TestDoingAgainFromTheStartAfterAnyPartGivesTheSameFile(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(top, "")
		require.NoError(t, err)
		name := func(i int) string { return filepath.Join(dir, fmt.Sprint("name", i)) }
		f, err := OpenFile(name(0), os.O_CREATE, 0)
		require.NoError(t, err)
		defer func() { require.NoError(t, f.Close()) }()

		model := fileModel{path: name(0), data: []byte{}}     // with all that is planned
		kept, safe := model.clone(), model.clone()            // up to Keep, and up to the checkpoint
		checkpoint := f.State()                               // the last one
		done := true                                          // nothing is pending
		content := rapid.SliceOfN(rapid.Byte(), 0, 40)        // of a write
		offset := rapid.IntRange(0, 100)                      // of a write, or a truncate
		far := rapid.SampledFrom([]int{0, 0, 0, 4096, 10000}) // across pages
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				got := make([]byte, len(model.data)+1)
				n, _ := f.ReadAt(got, 0)
				require.Equal(t, model.data, got[:n], "what is pending must be seen")
				require.EqualValues(t, len(model.data), f.Size())
			},
			"append": func(t *rapid.T) {
				b := content.Draw(t, "b")
				off, err := f.Append(b)
				require.NoError(t, err)
				require.EqualValues(t, len(model.data), off)
				model.write(b, int(off))
				clear(b) // it was copied
				done = false
			},
			"write": func(t *rapid.T) {
				b, off := content.Draw(t, "b"), offset.Draw(t, "off")+far.Draw(t, "far")
				_, err := f.WriteAt(b, int64(off))
				require.NoError(t, err)
				model.write(b, off)
				done = false
			},
			"truncate": func(t *rapid.T) {
				n := offset.Draw(t, "n") + far.Draw(t, "far")
				require.NoError(t, f.Truncate(int64(n)))
				model.truncate(n)
				done = false
			},
			"rename": func(t *rapid.T) {
				for _, to := range rapid.SliceOfN(rapid.IntRange(0, 2), 1, 3).Draw(t, "to") {
					model.path = name(to)
					require.NoError(t, f.Rename(model.path))
				}
				done = false
			},
			"sync": func(t *rapid.T) { require.NoError(t, f.Sync()) },
			"read": func(t *rapid.T) {
				off, n := offset.Draw(t, "off")+far.Draw(t, "far"), offset.Draw(t, "n")
				got := make([]byte, n)
				n, _ = f.ReadAt(got, int64(off))
				from := min(off, len(model.data))
				require.Equal(t, model.data[from:from+n], got[:n])
				require.Equal(t, min(len(model.data)-from, len(got)), n)
			},
			"keep": func(t *rapid.T) {
				f.Keep()
				kept = model.clone()
			},
			"undo": func(t *rapid.T) {
				require.NoError(t, f.Undo())
				model = kept.clone()
			},
			"checkpoint and do": func(t *rapid.T) {
				checkpoint = carried(t, f.State())
				safe = model.clone()
				require.NoError(t, f.Do())
				kept, done = model.clone(), true
				requireOnDisk(t, model, dir, "after Do")
			},
			"checkpoint and die": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "with what is planned") {
					checkpoint = carried(t, f.State())
					safe = model.clone()
					todo := steps(f.st.Pending)
					todo = todo[:rapid.IntRange(0, len(todo)).Draw(t, "done")]
					for i := range todo {
						if i == len(todo)-1 && todo[i].kind == stepWrite { // in the middle of a write
							half := *todo[i].op
							half.Data = half.Data[:len(half.Data)/2]
							todo[i].op = &half
						}
						require.NoError(t, f.do(&todo[i]))
					}
				} else if !done {
					f.st.Pending = nil // the plans die with their process
				}
				next, err := BackupOpenFile(checkpoint)
				require.NoError(t, err)
				require.NoError(t, f.Close())
				f = next
				require.NoError(t, f.SetState(checkpoint))
				require.NoError(t, f.Do())
				model, kept, done = safe.clone(), safe.clone(), true
				requireOnDisk(t, model, dir, "after a takeover")
			},
		})
	})
}
