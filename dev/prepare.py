"""Prepare a checkout: Debian packages, the virtual environment, and what tests need.

    python3 dev/prepare.py                    build tools, then .venv with liblinux in it
    python3 dev/prepare.py --test-programs    the mkfs and fsck programs of the tests
    python3 dev/prepare.py --bench-programs   what liblinux is compared with
    python3 dev/prepare.py --bench-guestfs    libguestfs as well, which is large

Only the standard library: it runs before anything is installed. As root on
Debian it installs what is missing, else it says with which command to do so.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
sys.path.insert(0, str(ROOT / "src"))

from liblinux.builder import tools  # noqa: E402 - the line above makes it findable

# Programs that tests make and check images with, and the Debian packages that have them.
# Those of HFS+ (hfsprogs) are in no free section of Debian 12; tests/filesystems/hfsplus.py is there instead.
TEST_PROGRAMS = {
    "ip": "iproute2",
    "ping": "iputils-ping",  # those of the kernel's own network tests
    "ethtool": "ethtool",
    "nft": "nftables",
    "iptables": "iptables",
    "nc": "netcat-openbsd",
    "socat": "socat",
    "jq": "jq",
    "traceroute": "traceroute",
    "mausezahn": "netsniff-ng",  # those of net/forwarding: frames, checksums, multicast routes, aggregated links
    "ncat": "ncat",
    "ipvsadm": "ipvsadm",
    "iperf3": "iperf3",
    "bc": "bc",
    "dc": "dc",
    "arping": "iputils-arping",
    "smcrouted": "smcroute",
    "teamd": "libteam-utils",
    "tcpdump": "tcpdump",
    "uuidgen": "uuid-runtime",
    "unshare": "util-linux",
    "btrfs": "btrfs-progs",
    "mkfs.btrfs": "btrfs-progs",
    "debugfs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "mkfs.ext2": "e2fsprogs",
    "mkfs.ext3": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.erofs": "erofs-utils",
    "fsck.erofs": "erofs-utils",
    "fsck.exfat": "exfatprogs",
    "mkfs.exfat": "exfatprogs",
    "fsck.f2fs": "f2fs-tools",
    "mkfs.f2fs": "f2fs-tools",
    "fsck.fat": "dosfstools",
    "mkfs.fat": "dosfstools",
    "hformat": "hfsutils",
    "hls": "hfsutils",
    "hmount": "hfsutils",
    "fsck.jfs": "jfsutils",
    "mkfs.jfs": "jfsutils",
    "mkfs.minix": "util-linux",
    "fsck.minix": "util-linux",
    "mkfs.nilfs2": "nilfs-tools",
    "mkfs.ntfs": "ntfs-3g",
    "ntfsfix": "ntfs-3g",
    "ntfsresize": "ntfs-3g",
    "mkudffs": "udftools",
    "udfinfo": "udftools",
    "mkfs.xfs": "xfsprogs",
    "xfs_repair": "xfsprogs",
    "mksquashfs": "squashfs-tools",
    "genromfs": "genromfs",
    "mkfs.cramfs": "util-linux-extra",
    "xorriso": "xorriso",
    "blkid": "util-linux",
    "mkswap": "util-linux",
    "sfdisk": "fdisk",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",  # which links are joined with; no machine is emulated
    "xz": "xz-utils",
    "zstd": "zstd",
    "bzip2": "bzip2",
    "cryptsetup": "cryptsetup-bin",
    "bsdtar": "libarchive-tools",
    "cpio": "cpio",
    "sqfstar": "squashfs-tools",
    "faketime": "faketime",
    "mdadm": "mdadm",
    "setfattr": "attr",
    "setfacl": "acl",
    "fusermount3": "fuse3",
    "resize2fs": "e2fsprogs",
    "resize.f2fs": "f2fs-tools",
    "setpriv": "util-linux",
    "7z": "p7zip-full",
    "strace": "strace",
    "chromium": "chromium",
    "zsh": "zsh",
    "fish": "fish",
}

# Libraries that tests load, and the Debian packages that have them.
TEST_LIBRARIES = {"libslirp.so.0": "libslirp0"}

# Parts of the standard library that Debian has in packages of their own: CPython's tests, which ours run.
TEST_MODULES = {"test.test_socket": f"libpython{sys.version_info[0]}.{sys.version_info[1]}-testsuite"}

# Programs that liblinux is measured against; the Python ones are the extra `bench`.
BENCH_PROGRAMS = {
    "7z": "p7zip-full",
    "blkid": "util-linux",
    "qemu-img": "qemu-utils",
    "debugfs": "e2fsprogs",
    "fio": "fio",
    "fuse2fs": "fuse2fs",
    "fusermount": "fuse3",
    "g++": "g++",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "mount": "mount",
}
# ns-3 is a library, and a program of bench/ is linked with it.
BENCH_LIBRARIES = {"libns3-core.so": "libns3-dev"}


# libguestfs, and a kernel for its virtual machine, which it finds in /boot: 300 MB, and not for every bench.
GUESTFS_PACKAGES = ("libguestfs-tools", "linux-image-cloud-amd64")


def find_program(name: str) -> str | None:
    """Like shutil.which, also where Debian keeps the programs of root."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def has_library(name: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_module(name: str) -> bool:
    """Whether Python has a module, which need not be loaded for that."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even its package
        return False


def packages_of_python() -> list[str]:
    """What a Debian Python lacks for a virtual environment with an extension in it."""
    packages = []
    # Absent in Debian's Python without python3-venv.
    if importlib.util.find_spec("ensurepip") is None:
        packages.append("python3-venv")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        packages.append("python3-dev")
    return packages


def packages_of_mounts() -> list[str]:
    """What pyfuse3, of which there is no wheel, is compiled with besides a compiler."""
    if shutil.which("pkg-config") is None:
        return ["pkg-config", "libfuse3-dev"]
    found = subprocess.run(["pkg-config", "--exists", "fuse3"], check=False)
    return ["libfuse3-dev"] if found.returncode else []


def install(packages: Iterable[str]) -> None:
    """Install Debian packages as root; otherwise end with the command that does."""
    packages = sorted(set(packages))
    if not packages:
        return
    command = tools.install_command(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"packages are missing; install them with:\n  sudo {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
    subprocess.run(command, env=environment, check=True)


def requirements_of(extra: str) -> list[str]:
    """What pyproject.toml says that an extra needs."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        requirements: list[str] = tomllib.load(file)["project"]["optional-dependencies"][extra]
    return requirements


def make_environment(extra: str = "dev") -> None:
    """The virtual environment with liblinux, its command and what is in `extra`."""
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "setuptools>=77"], check=True)
    # By itself, for it is compiled too, and with tools of its own.
    subprocess.run([*pip, *requirements_of("mount")], check=True)
    # Without isolation the second build of the extension takes seconds and needs no network.
    subprocess.run([*pip, "--no-build-isolation", "--editable", f"{ROOT}[{extra}]"], check=True)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test-programs", action="store_true", help="install the programs that tests need")
    parser.add_argument("--bench-programs", action="store_true", help="install what liblinux is compared with")
    parser.add_argument("--bench-guestfs", action="store_true", help="install libguestfs and a kernel for it")
    options = parser.parse_args()
    if options.bench_guestfs:
        install(() if find_program("guestfish") else GUESTFS_PACKAGES)
        return
    if options.bench_programs:
        install(
            [
                *(package for program, package in BENCH_PROGRAMS.items() if find_program(program) is None),
                *(package for library, package in BENCH_LIBRARIES.items() if not has_library(library)),
            ]
        )
        make_environment("dev,bench")
        return
    if options.test_programs:
        programs = [package for program, package in TEST_PROGRAMS.items() if find_program(program) is None]
        libraries = [package for library, package in TEST_LIBRARIES.items() if not has_library(library)]
        install(
            [*programs, *libraries, *(package for module, package in TEST_MODULES.items() if not has_module(module))]
        )
        return
    install([*tools.missing_packages(), *packages_of_python(), *packages_of_mounts()])
    make_environment()


if __name__ == "__main__":
    main()
