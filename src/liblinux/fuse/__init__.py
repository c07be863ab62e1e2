"""An image served to the host as a file system in user space (FUSE).

    the host's programs
      the host's kernel           its caches, its permissions
      ═══ /dev/fuse ═══
      libfuse, pyfuse3, trio      the mount, the conversation, one task that answers
      _answers.py                 an error of the image's kernel becomes one of FUSE
      _metadata.py, _names.py,    what each request means in system calls
      _files.py, _directories.py
      _served.py, _nodes.py       attributes as they are shown; the host's node numbers, and our paths
      an image's kernel           liblinux

      _mounting.py                what a mount needs, its options, unmounting
      _service.py                 all of it together, signals, and the way down

pyfuse3 binds libfuse's low-level interface, which knows files by numbers. (Rejected:
the high-level one, of mfusepy and others, which knows them by their paths: two hard
links are two files to the host then, with two caches that contradict each other, a
directory's entries are asked for one by one, and an open file that is removed has to
be renamed. The protocol itself, which we once spoke: docs/ARCHITECTURE.md, "Decisions".)
It is an extra, `liblinux[mount]`, because a compiler is needed to install it: nothing
but `_mounting.py` may be imported where it is not.
"""
