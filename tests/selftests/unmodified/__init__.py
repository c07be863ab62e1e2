"""Unmodified programs of this machine whose network is a kernel of the library.

    filter.py    which system calls come to us: a seccomp filter (BPF)
    launch.py    the first program in there: it installs the filter and becomes the program
    memory.py    the memory of those programs
    files.py     descriptors: a socket pair stands in each program for a file of the kernel
    paths.py     which paths are the kernel's (/proc/sys, /proc/net, /run/netns, /sys/class/net, ...)
    ring.py      rings of packet sockets, which programs map
    calls.py     who answers which call; call.py: a call, and what all of them need
    transfers.py reading and writing; sockets.py; options.py: of sockets; controls.py: fcntl, ioctl
    entries.py   files by name; spaces.py: namespaces, mounts, users; programs.py: bpf
    waiting.py   poll, select, epoll
    server.py    threads that take the calls and answer them

Programs, processes, pipes, ordinary files and sleeping are this machine's; sockets, namespaces,
mounts and what the paths above lead to are the library's. Nothing is preloaded and nothing is
patched: seccomp's user notification (seccomp_unotify(2)) hands a call over before this machine's
kernel does anything. Programs run in namespaces of their own (user, pid, mount, network), so that a
call that is not handed over meets an empty network and nobody else's processes.

What it cannot do: descriptors sent over Unix sockets of the kernel,
signals by sockets (SIGIO), splice of sockets.
"""
