"""The `socket`-, `select`- and `ssl`-shaped namespaces of a kernel's processes.

Loaded when `kernel.socket` is first asked for: most programs are about files.
"""
