"""The first session: a real ext4 image, read and changed by Linux inside this process.

Run it with `make run`. It makes an image, boots a kernel, lists, reads and
changes the image, and lets the file system's own checker judge the result.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

import liblinux

# Debian keeps mkfs and fsck where users' PATH does not lead.
PATH = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def make_image(path: Path) -> None:
    """An ext4 image of 64 MiB with a few files in it."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "etc").mkdir()
        (Path(directory) / "etc" / "hostname").write_text("penguin\n")
        with path.open("wb") as file:
            file.truncate(64 << 20)
        command = ["mkfs.ext4", "-q", "-d", directory, str(path)]
        subprocess.run(command, env=PATH, check=True)


def session(path: Path) -> None:
    """Boot, look, change, shut down."""
    start = time.perf_counter()
    with liblinux.Kernel() as kernel:
        milliseconds = (time.perf_counter() - start) * 1000
        print(f"Linux {kernel.release} booted inside process {os.getpid()} in {milliseconds:.1f} ms")
        kernel.mount(kernel.attach(path), "/mnt")
        print("/mnt:", sorted(kernel.os.listdir("/mnt")))
        with kernel.open("/mnt/etc/hostname") as file:
            print("/mnt/etc/hostname:", file.read().strip())
        with kernel.open("/mnt/etc/motd", "w") as file:
            file.write("written by Linux inside Python\n")
        kernel.os.link("/mnt/etc/motd", "/mnt/etc/issue")
        print("/mnt/etc:", {entry.name: entry.stat().st_size for entry in kernel.os.scandir("/mnt/etc")})


def main() -> None:
    """The whole example, in a temporary directory."""
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "disk.img"
        make_image(image)
        session(image)
        subprocess.run(["e2fsck", "-fn", str(image)], env=PATH, check=True)


if __name__ == "__main__":
    main()
