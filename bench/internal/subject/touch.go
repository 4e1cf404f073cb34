package subject

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// touch makes this process as large as one with so much in memory: every page of 4 KiB exists.
func touch(mib int) error {
	if mib == 0 {
		return nil
	}
	b, err := unix.Mmap(-1, 0, mib<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("cannot get %d MiB: %w", mib, err)
	}
	if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
		return err
	}
	if err := unix.Madvise(b, unix.MADV_POPULATE_WRITE); err != nil {
		return fmt.Errorf("cannot touch %d MiB: %w", mib, err)
	}
	return nil
}

// MapShared maps the memory behind a descriptor.
func MapShared(fd, size int) (unsafe.Pointer, []byte, error) {
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot map shared memory: %w", err)
	}
	return unsafe.Pointer(unsafe.SliceData(b)), b, nil
}
