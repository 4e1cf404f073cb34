package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The reasons for which there is no page to read.
var (
	ErrNoPair      = errors.New("no such pair")
	ErrCorruptPage = errors.New("damaged page")
)

// maxReadings bounds how often a reader starts again because it was overtaken, which takes two publications during
// one reading of a slot.
const maxReadings = 1000

// Publish makes p the page of the name. Readers see the page before or p, nothing else, wherever this process is
// killed. Name, Version and UpdatedAt of p are filled in. The errors are ErrPageTooLarge, fs.ErrNotExist when the
// directory was removed, or the system's, such as ENOSPC; the page before then still counts. A page that somebody
// removed or damaged is made anew.
func (d *Dir) Publish(p Page) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.Name, p.UpdatedAt = d.name, time.Now()
	if err := d.publish(p); err != nil {
		return fmt.Errorf("cannot publish the page of %s: %w", d.name, err)
	}
	return nil
}

func (d *Dir) publish(p Page) error {
	if err := d.openPage(); err != nil {
		return err
	}
	newest, err := readNewest(d.page)
	if err != nil {
		return err
	}
	p.Version = max(newest, d.version) + 1
	if p.Version == 0 { // no page gets there; a damaged word may, and 0 would say that there is no page
		p.Version = 1
	}
	d.buf, err = appendSlot(d.buf[:0], &p)
	if err != nil {
		return err
	}
	if _, err := d.page.WriteAt(d.buf, slotOffset(p.Version)); err != nil {
		return err
	}
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], p.Version)
	if _, err := d.page.WriteAt(word[:], 0); err != nil {
		return err
	}
	d.version = p.Version
	return nil
}

// openPage leaves d.page open and reachable: what is written to a file that was removed, nobody can read.
func (d *Dir) openPage() error {
	if d.fd < 0 {
		return fs.ErrClosed
	}
	if d.page != nil {
		if linked(int(d.page.Fd())) {
			return nil
		}
		d.page.Close()
		d.page = nil
	}
	fd, err := openAt(d.fd, pageName, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: filepath.Join(d.path, pageName), Err: err}
	}
	d.page = os.NewFile(uintptr(fd), filepath.Join(d.path, pageName))
	return nil
}

// Read returns the page of a name, without waiting for anybody or asking anybody. The errors are ErrBadName, ErrNoPair
// and ErrCorruptPage, or the system's.
func Read(root, name string) (Page, error) {
	p, err := read(root, name)
	if err != nil {
		return Page{}, fmt.Errorf("cannot read the page of %.80q under %s: %w", name, root, err)
	}
	return p, nil
}

func read(root, name string) (Page, error) {
	if err := checkName(name); err != nil {
		return Page{}, err
	}
	path := filepath.Join(root, name, pageName)
	fd, err := openAt(unix.AT_FDCWD, path, unix.O_RDONLY, 0)
	switch {
	case err == unix.ENOENT || err == unix.ENOTDIR:
		return Page{}, ErrNoPair
	case err != nil:
		return Page{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	return readPage(f)
}

// readPage returns the newest page of f. The slot that counts does not change while it counts, so a slot that is not
// valid was either overtaken, and the word then shows it, or is damaged.
func readPage(f io.ReaderAt) (Page, error) {
	slot := make([]byte, slotSize)
	newest, err := readNewest(f)
	for range maxReadings {
		if err != nil {
			return Page{}, err
		}
		if newest == 0 {
			return Page{}, ErrNoPair
		}
		n, readErr := f.ReadAt(slot, slotOffset(newest))
		if readErr != nil && readErr != io.EOF {
			return Page{}, readErr
		}
		p, damage := decodeSlot(slot[:n], newest)
		if damage == nil {
			return p, nil
		}
		before := newest
		if newest, err = readNewest(f); err == nil && newest == before {
			return Page{}, damage
		}
	}
	return Page{}, fmt.Errorf("%w: it changed during each of %d readings", ErrCorruptPage, maxReadings)
}

// readNewest returns the version that counts; 0: none was published.
func readNewest(f io.ReaderAt) (uint64, error) {
	var word [8]byte
	if _, err := f.ReadAt(word[:], 0); err != nil && err != io.EOF {
		return 0, err
	}
	return binary.LittleEndian.Uint64(word[:]), nil
}

// List returns the pages of all names under root, in order of their names, and an error for each that cannot be read.
// A root that does not exist has no names; a name that never published is none yet.
func List(root string) ([]Page, []error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var errs []error
	if err != nil {
		errs = append(errs, fmt.Errorf("cannot list the pairs under %s: %w", root, err))
	}
	var pages []Page
	for _, e := range entries {
		if !e.IsDir() || checkName(e.Name()) != nil {
			continue
		}
		switch p, err := Read(root, e.Name()); {
		case err == nil:
			pages = append(pages, p)
		case !errors.Is(err, ErrNoPair):
			errs = append(errs, err)
		}
	}
	return pages, errs
}
