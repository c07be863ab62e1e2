"""The commands on images, one module each; `liblinux.cli` imports the one that is called.

    liblinux.cli            the group: help, completion, exit codes
      commands/NAME.py      arguments of one command, and what it prints
      commands/_target.py   disk.img:/path
      commands/_image.py    --partition and its like; opening what a target names
      commands/_output.py   names, sizes and JSON on standard output
      commands/_glob.py     patterns in the path of a target
      commands/_problems.py errors that are told while the rest goes on
      commands/_change.py   opening an image to change it; errors that say what is the matter with it
      _image_root.py        an image that is open

Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 130 interrupted.
"""
