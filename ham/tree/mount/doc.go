// Package mount shows any fs.FS through FUSE, read-only. Its invariant: what is read is what the fs.FS gives at that moment. The
// kernel keeps neither names nor attributes nor text, so the size that stat(2) tells is that of the file as it is then, also of
// one that is open. What is read of an open file is as it was when it was opened, if the fs.FS has it so.
//
// Only the user who has mounted the tree can look into it, as far as the modes of its files allow. As root nothing else is needed;
// others need fusermount3, of the package fuse3. No child process inherits the descriptor on which the tree is served: it is gone for
// everybody when this process is, and the next Mount at the same place clears away what is left of it.
//
// A process must not open files of a tree that it serves itself: if it is killed meanwhile it waits in the kernel for its own answer.
package mount
