package mount

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

const device = "/dev/fuse"

// connect mounts a tree at dir and returns the descriptor on which it is to be served, not inherited by child processes, and the
// program that unmounts it again; "": umount(2) does.
func connect(dir string) (fd int, helper string, err error) {
	if os.Geteuid() == 0 {
		fd, err = mountAsRoot(dir)
		return fd, "", err
	}
	if _, err := os.Stat(device); err != nil {
		return -1, "", noDevice(err)
	}
	if helper, err = findHelper(); err != nil {
		return -1, "", err
	}
	fd, err = mountByHelper(helper, dir)
	return fd, helper, err
}

func noDevice(err error) error {
	return fmt.Errorf("%w: cannot open %s: %w; modprobe fuse, or give the container this device", ErrNoFUSE, device, err)
}

func mountAsRoot(dir string) (fd int, err error) {
	if fd, err = unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return -1, noDevice(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=%d,default_permissions,max_read=%d", fd, unix.S_IFDIR, os.Getegid(), readSize)
	err = unix.Mount("tandem", dir, "fuse.tandem", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, options)
	if err == nil {
		return fd, nil
	}
	_ = unix.Close(fd)
	if errors.Is(err, unix.EPERM) {
		return -1, fmt.Errorf("%w: mount(2): %w; it takes CAP_SYS_ADMIN, which a container may lack", ErrNoFUSE, err)
	}
	return -1, os.NewSyscallError("mount", err)
}

// findHelper returns the path of the program that mounts for those who are not root.
func findHelper() (string, error) {
	helper, err := exec.LookPath("fusermount3")
	if err != nil {
		return "", fmt.Errorf("%w: only root mounts without fusermount3: install the package fuse3: %w", ErrNoFUSE, err)
	}
	return helper, nil
}

// mountByHelper has fusermount3 mount, which sends the descriptor over the socket whose number it finds in _FUSE_COMMFD.
func mountByHelper(helper, dir string) (fd int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "socket")
	options := fmt.Sprintf("ro,nosuid,nodev,noexec,default_permissions,fsname=tandem,subtype=tandem,max_read=%d", readSize)
	command := exec.Command(helper, "-o", options, "--", dir)
	command.ExtraFiles = []*os.File{theirs}
	command.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	err = run(command)
	_ = theirs.Close()
	if err != nil {
		return -1, err
	}
	return receive(pair[0])
}

// receive takes the descriptor that the helper has sent.
func receive(socket int) (fd int, err error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 4), control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, os.NewSyscallError("recvmsg", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("fusermount3 has sent %d messages, expected a descriptor (%v): %w", len(messages), err, unix.EPROTO)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("fusermount3 has sent %d descriptors, expected one (%v): %w", len(fds), err, unix.EPROTO)
	}
	return fds[0], nil
}

// detach takes a tree away: at once, though somebody may still be in it.
func detach(dir, helper string) error {
	if helper != "" {
		return run(exec.Command(helper, "-u", "-z", "--", dir))
	}
	return os.NewSyscallError("umount", unix.Unmount(dir, unix.MNT_DETACH))
}

// run runs a command; its error holds what it said.
func run(command *exec.Cmd) error {
	var said bytes.Buffer
	command.Stderr = &said
	err := command.Run()
	text := strings.TrimSpace(said.String())
	switch {
	case err == nil:
		return nil
	case text == "":
		text = command.Path
	}
	return fmt.Errorf("%s: %w", text, err)
}
