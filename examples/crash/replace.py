"""A file that is replaced as it should be is the old one or the new one, never anything else.

    liblinux crashtest examples/crash/replace.py --fs ext4

The new content goes to another file, is fsynced, and renamed over the old; then the
directory is fsynced. From the rename until the end of that, either may be there.
Without the first fsync (see forgetful.py) there may be nothing.
"""

VERSIONS = 30


def version(number):
    return f"version {number}\n".encode() * 500


def workload(fs):
    fs.write("settings", version(0), fsync=True)
    fs.fsync()
    fs.promise("settings", {0})
    for number in range(1, VERSIONS):
        fs.write("settings.new", version(number), fsync=True)
        fs.promise("settings", {number - 1, number})
        fs.os.rename(fs.at("settings.new"), fs.at("settings"))
        fs.fsync()
        fs.promise("settings", {number})


def check(fs, promises):
    for name, allowed in promises.items():
        found = fs.read(name)
        assert found in {version(number) for number in allowed}, f"{name} is {found[:20]!r}, none of {allowed}"
