"""A shell whose files are those of an image, and whose kernel is the image's.

liblinux.commands.shell   the command: interactive, -c, scripts
_prompt.py                lines from a terminal: history, completion
_words.py                 a line as words, operators, redirections
_session.py               running them: pipes, redirections, exit codes
_files.py, _system.py     the commands that only a shell needs
liblinux.commands         all others, the same as outside
"""
