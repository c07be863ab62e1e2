"""What was fsynced is there, after every crash.

    liblinux crashtest examples/crash/fsynced.py --fs ext4 --fs xfs --fs btrfs --fs f2fs

All that programs do to files: make, append, overwrite, cut, rename, link, remove, with
attributes and symbolic links; and always fsync, before anything is promised. Between
these there is other writing that nobody waits for, and now and then some seconds pass,
in which the kernel writes back what it likes.

While a file is changed, only what the change does not touch is still promised: the
beginning of a file that grows or is cut, both sides of a place that is overwritten.
"""

import hashlib
import os
import random

ROUNDS = 40


def workload(fs):
    chance = random.Random(1)
    fs.os.mkdir(fs.at("kept"))
    fs.os.mkdir(fs.at("noise"))
    fs.fsync()
    for number in range(ROUNDS):
        noise(fs, chance)
        chance.choice(STEPS)(fs, chance, number)
        if number % 10 == 9:
            fs.sleep(chance.choice([1, 6, 31]))


def check(fs, promises):
    for name, (what, expected) in promises.items():
        found = LOOKS[what](fs, f"kept/{name}", expected)
        assert found == expected, f"{name}: {what} is {found}, and what was fsynced is {expected}"
    # What was not promised may be there or not, but must be readable.
    for name in fs.os.listdir(fs.at("noise")) if fs.os.path.exists(fs.at("noise")) else ():
        fs.read(f"noise/{name}")


# ---- what is looked at --------------------------------------------------------


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def parts(data, *ranges):
    """What is promised of parts of a file: where they are, and their digests."""
    return [(start, end, digest(data[start:end])) for start, end in ranges]


def look_at_parts(fs, path, expected):
    return parts(fs.read(path), *((start, end) for start, end, _ in expected))


LOOKS = {
    "content": lambda fs, path, expected: digest(fs.read(path)),
    "parts": look_at_parts,
    "names": lambda fs, path, expected: [fs.os.path.lexists(fs.at(name)) for name in (path, f"{path}.new")],
    "link": lambda fs, path, expected: fs.os.readlink(fs.at(path)),
    "attribute": lambda fs, path, expected: fs.os.getxattr(fs.at(path), "user.note"),
    "links": lambda fs, path, expected: fs.os.stat(fs.at(path)).st_nlink,
}


# ---- what is done -------------------------------------------------------------


def noise(fs, chance):
    """Writing that nobody waits for."""
    for _ in range(chance.randrange(4)):
        fs.write(f"noise/{chance.randrange(8)}", chance.randbytes(chance.randrange(40_000)))
    if chance.random() < 0.3:
        victim = fs.at(f"noise/{chance.randrange(8)}")
        if fs.os.path.exists(victim):
            fs.os.unlink(victim)


def make(fs, chance, number):
    name, data = f"file{number}", chance.randbytes(chance.choice([1, 100, 5000, 70_000]))
    fs.write(f"kept/{name}", data, fsync=True)
    fs.fsync("kept")
    fs.promise(name, ("content", digest(data)))
    return name, data


def append(fs, chance, number):
    name, data = make(fs, chance, number)
    for _ in range(3):
        more = chance.randbytes(chance.randrange(1, 9000))
        fs.promise(name, ("parts", parts(data, (0, len(data)))))
        with fs.open(f"kept/{name}", "ab") as file:
            file.write(more)
        fs.fsync(f"kept/{name}")
        data += more
        fs.promise(name, ("content", digest(data)))


def overwrite(fs, chance, number):
    name, data = make(fs, chance, number)
    data = bytearray(data)
    for _ in range(3):
        start = chance.randrange(len(data))
        more = chance.randbytes(len(data[start : start + 3000]))
        fs.promise(name, ("parts", parts(data, (0, start), (start + len(more), len(data)))))
        data[start : start + 3000] = more
        with fs.open(f"kept/{name}", "r+b") as file:
            file.seek(start)
            file.write(more)
        fs.fsync(f"kept/{name}")
        fs.promise(name, ("content", digest(data)))


def cut(fs, chance, number):
    name, data = make(fs, chance, number)
    length = chance.randrange(len(data))
    fs.promise(name, ("parts", parts(data, (0, length))))
    fs.os.truncate(fs.at(f"kept/{name}"), length)
    fs.fsync(f"kept/{name}")
    fs.promise(name, ("content", digest(data[:length])))


def rename(fs, chance, number):
    name, data = make(fs, chance, number)
    fs.withdraw(name)
    fs.os.rename(fs.at(f"kept/{name}"), fs.at(f"kept/{name}.new"))
    fs.fsync("kept")
    fs.promise(name, ("names", [False, True]))
    fs.promise(f"{name}.new", ("content", digest(data)))


def link(fs, chance, number):
    name, data = make(fs, chance, number)
    fs.withdraw(name)
    fs.os.link(fs.at(f"kept/{name}"), fs.at(f"kept/{name}.new"))
    fs.fsync(f"kept/{name}")
    fs.fsync("kept")
    fs.promise(name, ("links", 2))
    fs.promise(f"{name}.new", ("content", digest(data)))


def remove(fs, chance, number):
    name, _ = make(fs, chance, number)
    fs.withdraw(name)
    fs.os.unlink(fs.at(f"kept/{name}"))
    fs.fsync("kept")
    fs.promise(name, ("names", [False, False]))


def symlink(fs, chance, number):
    name, target = f"link{number}", "x" * chance.choice([5, 500])
    fs.os.symlink(target, fs.at(f"kept/{name}"))
    fs.fsync("kept")
    fs.promise(name, ("link", target))


def attribute(fs, chance, number):
    name, _ = make(fs, chance, number)
    note = chance.randbytes(chance.choice([3, 900]))
    fs.os.setxattr(fs.at(f"kept/{name}"), "user.note", note)
    fs.fsync(f"kept/{name}")
    fs.promise(name, ("attribute", note))


def synchronous(fs, chance, number):
    """O_SYNC: every write is on the disk when it returns."""
    name, data = f"sync{number}", chance.randbytes(9000)
    fd = fs.os.open(fs.at(f"kept/{name}"), os.O_WRONLY | os.O_CREAT | os.O_SYNC, 0o644)
    fs.os.write(fd, data)
    fs.os.close(fd)
    fs.fsync("kept")
    fs.promise(name, ("content", digest(data)))


STEPS = [make, append, overwrite, cut, rename, link, remove, symlink, attribute, synchronous]
