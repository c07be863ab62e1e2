"""A program with a mistake, to be found.

    liblinux crashtest examples/crash/forgetful.py --fs xfs

It replaces a file as replace.py does, but forgets to fsync the content before the rename.
The name survives, and what is under it may be an empty file, or zeros. (ext4 has been taught to help
such programs; --options noauto_da_alloc has it behave as POSIX allows.)
"""

from replace import check, version

__all__ = ["check", "workload"]

VERSIONS = 30


def workload(fs):
    fs.write("settings", version(0), fsync=True)
    fs.fsync()
    fs.promise("settings", {0})
    for number in range(1, VERSIONS):
        fs.write("settings.new", version(number))  # here is an fsync missing
        fs.promise("settings", {number - 1, number})
        fs.os.rename(fs.at("settings.new"), fs.at("settings"))
        fs.fsync()
        fs.promise("settings", {number})
