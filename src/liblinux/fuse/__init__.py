"""An image served to the host as a file system in user space (FUSE).

    the host's programs
      the host's kernel           its caches, its permissions
      ═══ /dev/fuse ═══           _protocol.py: the words of <linux/fuse.h>
      _session.py                 one request after the other, and their answers
      _metadata.py, _names.py,    what each request means in system calls
      _files.py, _directories.py
      _nodes.py                   the host's node numbers, and our paths
      an image's kernel           liblinux

      _mounting.py                mount and unmount, as root and as anybody else
      _service.py                 all of it together, signals, and the way down

The protocol is spoken here and not by libfuse. Its high-level interface, which is
what the bindings offer that are kept up (mfusepy), knows files by their paths: two
hard links are two files to the host then, with two caches that contradict each
other, a directory's entries are asked for one by one, and an open file that is
removed has to be renamed. pyfuse3, which binds the low-level interface, has no
handlers for ioctl, fallocate, lseek, copy_file_range, O_TMPFILE and statx, and its
turns cost more than ours (docs/ARCHITECTURE.md, "Decisions"). What the kernel speaks
is documented, has a version and never changes, and needs no more than `struct`; and
there is no C between a request and the system call that it becomes.
"""
