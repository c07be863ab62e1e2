"""LUKS volumes, made by cryptsetup on plain files, opened by the kernel's dm-crypt."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import liblinux
from conftest import ENVIRONMENT, MIB, Command, Images, e2fsck, run

SECRET = "correct horse"  # noqa: S105 - of tests
WRONG = "battery staple"
# Longer than what chance puts into megabytes of ciphertext.
KEPT = b"what is written is kept, and not in the clear"
SMALL = ("--sector-size", "512")
QUICK = ("--pbkdf-force-iterations", "1000")
QUICK_ARGON = ("--pbkdf-memory", "64", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1")
VARIANTS = {
    "LUKS1": ("--type", "luks1", *QUICK),
    "LUKS1, essiv": ("--type", "luks1", "-c", "aes-cbc-essiv:sha256", "-s", "256", "-h", "sha1", *QUICK),
    "LUKS1, sha512": ("--type", "luks1", "-c", "aes-xts-plain64", "-s", "256", "-h", "sha512", *QUICK),
    "LUKS1, ripemd160": ("--type", "luks1", "-h", "ripemd160", *QUICK),
    "LUKS2, argon2id": ("--type", "luks2", "--pbkdf", "argon2id", *QUICK_ARGON),
    "LUKS2, argon2i": ("--type", "luks2", "--pbkdf", "argon2i", *QUICK_ARGON),
    "LUKS2, pbkdf2": ("--type", "luks2", "--pbkdf", "pbkdf2", "-h", "sha512", *SMALL, *QUICK),
    "LUKS2, large sectors": ("--type", "luks2", "--sector-size", "4096", "--pbkdf", "pbkdf2", *QUICK),
    "LUKS2, essiv": ("--type", "luks2", "-c", "aes-cbc-essiv:sha256", "-s", "128", "--pbkdf", "pbkdf2", *SMALL, *QUICK),
}


def cryptsetup(*arguments: str | Path, secret: str = SECRET) -> str:
    command = ["cryptsetup", "-q", "--disable-locks", *map(str, arguments)]
    done = subprocess.run(command, input=secret, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def luks(path: Path, *options: str, secret: str = SECRET) -> Path:
    cryptsetup("luksFormat", *(options or VARIANTS["LUKS2, pbkdf2"]), path, "-", secret=secret)
    return path


@pytest.fixture
def volume(images: Images) -> Path:
    return luks(images.empty("luks", 40 * MIB))


def fill(path: Path, plain: Path, passphrase: str = SECRET) -> None:
    """Put the content of `plain` into the volume, through the kernel."""
    with liblinux.Kernel() as kernel:
        from liblinux.volumes import Storage

        storage = Storage(kernel, [kernel.attach(path)], passphrase, readonly=False, in_place=True)
        (opened,) = [device for device in storage.devices if device.kind == "luks"]
        with kernel.open(opened.path, "r+b") as file:
            file.write(plain.read_bytes())


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(images: Images, variant: str) -> None:
    """Made by cryptsetup, filled and read here."""
    path = luks(images.empty("luks", 40 * MIB), *VARIANTS[variant])
    fill(path, images.ext4(size=16 * MIB, options=("-b", "4096"), label="secret"))
    with liblinux.open_image(path, passphrase=SECRET) as image:
        assert image.cat("/sub/data.bin") == bytes(range(256)) * 256


@pytest.mark.parametrize("variant", ["LUKS1", "LUKS1, essiv", "LUKS1, sha512", "LUKS2, pbkdf2", "LUKS2, essiv"])
def test_as_qemu_reads_it(images: Images, variant: str) -> None:
    """QEMU has a LUKS of its own, and knows version 1; cryptsetup makes that of version 2, leaving the data."""
    plain = images.ext4(size=16 * MIB, options=("-b", "4096"))
    path = luks(images.empty("luks", 40 * MIB), *VARIANTS[variant])
    fill(path, plain)
    if variant.startswith("LUKS2"):
        cryptsetup("convert", "--type", "luks1", path)
    key = images.directory / "key"
    key.write_text(SECRET)
    read = images.directory / "read"
    run(
        "qemu-img", "convert", "--object", f"secret,id=key,file={key}", "--image-opts",
        f"driver=luks,key-secret=key,file.filename={path}", "-O", "raw", read,
    )  # fmt: skip
    assert read.read_bytes().startswith(plain.read_bytes())
    with liblinux.open_image(path, passphrase=SECRET) as image:
        assert image.exists("/hello.txt")


def test_several_pass_phrases(volume: Path, images: Images) -> None:
    fill(volume, images.ext4(size=16 * MIB, options=("-b", "4096")))
    second = images.directory / "second"
    second.write_bytes(b"\xff\x00 no text\n")
    cryptsetup("luksAddKey", "--pbkdf", "pbkdf2", *QUICK, volume, second)
    for secret in (SECRET, SECRET.encode(), second.read_bytes()):
        with liblinux.open_image(volume, passphrase=secret) as image:
            assert image.exists("/hello.txt")


def test_writing(volume: Path, images: Images) -> None:
    fill(volume, images.ext4(size=16 * MIB, options=("-b", "4096")))
    with liblinux.open_image(volume, "r+", passphrase=SECRET) as image:
        image.pipe("/new", KEPT)
    before = volume.read_bytes()
    assert KEPT not in before
    with liblinux.open_image(volume, passphrase=SECRET) as image:
        assert image.cat("/new") == KEPT
    assert volume.read_bytes() == before
    with liblinux.Kernel() as kernel:
        from liblinux.volumes import Storage

        storage = Storage(kernel, [kernel.attach(volume, readonly=True)], SECRET, readonly=True, in_place=False)
        (opened,) = [device for device in storage.devices if device.kind == "luks"]
        with kernel.open(opened.path, "rb") as file:
            (images.directory / "plain").write_bytes(file.read(16 * MIB))
    e2fsck(images.directory / "plain")


def test_a_dirty_journal(volume: Path, images: Images) -> None:
    """It is replayed through dm-crypt too, into the overlay."""
    path = images.ext4(size=16 * MIB, options=("-b", "4096"))
    memory = bytearray(path.read_bytes())
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(memory), "/mnt")
        with kernel.open("/mnt/late", "wb") as file:
            file.write(b"in the journal only")
            file.flush()
            kernel.os.fsync(file.raw.fd)  # type: ignore[attr-defined]  # a KernelFile
        path.write_bytes(memory)
    fill(volume, path)
    before = volume.read_bytes()
    with liblinux.open_image(volume, passphrase=SECRET) as image:
        assert image.cat("/late") == b"in the journal only"
    assert volume.read_bytes() == before


def test_untrusted(volume: Path, images: Images) -> None:
    fill(volume, images.ext4(size=16 * MIB, options=("-b", "4096")))
    with liblinux.open_image(volume, passphrase=SECRET, untrusted=True) as image:
        assert image.cat("/hello.txt") == b"hello from the image\n"


def test_a_partition(volume: Path, images: Images) -> None:
    """By number, by UUID of what is in it, and without a word when a pass phrase is given."""
    plain = images.ext4("plain", 16 * MIB, options=("-b", "4096"), label="secret")
    fill(volume, plain)
    disk = images.partitioned("gpt", [images.ext4("boot", 16 * MIB, options=("-b", "4096"), label="boot"), volume])
    for arguments in ({"partition": 2}, {}, {"volume": "secret"}, {"partition": "secret"}):
        with liblinux.open_image(disk, passphrase=SECRET, **arguments) as image:
            assert image.disk.partitions[1].type == "crypto_LUKS"
            assert image._opened.mount.source.startswith("/dev/dm-"), arguments
    with liblinux.open_image(disk, partition="boot") as image:
        assert image._opened.mount.source == "/dev/lda1"
    with pytest.raises(liblinux.VolumeError, match="several file systems") as caught:
        liblinux.open_image(disk)
    assert "locked" in str(caught.value)


def test_asked_for(volume: Path, images: Images) -> None:
    fill(volume, images.ext4(size=16 * MIB, options=("-b", "4096")))
    answers = ["wrong", SECRET]
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(what)
        return answers.pop(0)

    with liblinux.open_image(volume, passphrase=ask) as image:
        assert image.exists("/hello.txt")
    assert len(asked) == 2
    assert "UUID" in asked[0]


# ---- what cannot be opened ---------------------------------------------------


def test_no_pass_phrase(volume: Path) -> None:
    with pytest.raises(liblinux.VolumeError, match="is encrypted") as caught:
        liblinux.open_image(volume)
    assert "--passphrase-file" in str(caught.value)
    with pytest.raises(liblinux.VolumeError, match="does not open"):
        liblinux.open_image(volume, passphrase=WRONG)


def test_damaged_headers(images: Images) -> None:
    first = images.ext4(size=16 * MIB, options=("-b", "4096"))
    for variant in ("LUKS1", "LUKS2, pbkdf2"):
        path = luks(images.empty("luks", 40 * MIB), *VARIANTS[variant])
        fill(path, first)
        whole = path.read_bytes()
        damage = {
            "the cipher": (8, b"no such cipher\0\0") if variant == "LUKS1" else (4200, bytes(32)),
            "the keys": (32768, bytes(8192)),
        }
        for name, (offset, data) in damage.items():
            broken = bytearray(whole)
            broken[offset : offset + len(data)] = data
            if variant == "LUKS2, pbkdf2" and name == "the cipher":
                with liblinux.open_image(broken, passphrase=SECRET) as image:  # by the copy
                    assert image.exists("/hello.txt")
                broken[0x4000 + 4200 : 0x4000 + 4232] = bytes(32)
            with pytest.raises(OSError, match=r"LUKS|pass phrase|Invalid|No such file|checksum"):
                liblinux.open_image(broken, passphrase=SECRET)
        with pytest.raises(liblinux.VolumeError):
            liblinux.open_image(whole[: 1 * MIB], passphrase=SECRET)


def test_command(volume: Path, images: Images, command: Command) -> None:
    fill(volume, images.ext4(size=16 * MIB, options=("-b", "4096")))
    key = images.directory / "key"
    key.write_text(SECRET + "\n")
    result = command("cat", "--passphrase-file", key, f"{volume}:/hello.txt")
    assert (result.exit_code, result.stdout) == (0, "hello from the image\n")
    result = command("cat", "--passphrase-file", "-", f"{volume}:/hello.txt", input=SECRET.encode())
    assert (result.exit_code, result.stdout) == (0, "hello from the image\n")
    key.write_text("wrong")
    result = command("cat", "--passphrase-file", key, f"{volume}:/hello.txt")
    assert result.exit_code == 1
    assert "pass phrase does not open" in result.stderr
    result = command("cat", f"{volume}:/hello.txt")
    assert result.exit_code == 1
    assert "is encrypted (LUKS)" in result.stderr
    assert command("cat", "--passphrase-file", "none", f"{volume}:/hello.txt").exit_code == 2
