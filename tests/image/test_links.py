"""open_image(): links that want out of the image."""

from __future__ import annotations

import threading

import liblinux


def test_links_stay_in_the_image(image: liblinux.ImageFileSystem) -> None:
    """The kernel has a root of its own, with /etc and /proc; the image's links do not lead there."""
    image.kernel.os.mkdir("/etc")
    with image.kernel.open("/etc/hostname", "w") as file:
        file.write("the kernel's")
    image.mkdir("/etc")
    image.pipe("/etc/hostname", b"the image's")
    links = {
        "/absolute": "/etc/hostname",
        "/dots": "../" * 50 + "etc/hostname",
        "/sub/dots": "/../../sub/../../etc/hostname",
    }
    for link, target in links.items():
        image.os.symlink(target, link)
        assert image.cat(link) == b"the image's", link
        assert image.size(link) == 11
    assert image.cat("/../../../etc/hostname") == b"the image's"
    image.os.symlink("/proc/self/root/etc/hostname", "/proc-link")
    image.os.symlink("/mnt/etc/hostname", "/mount-point")
    image.os.symlink("../" * 50, "/top")
    assert not image.exists("/proc-link")
    assert not image.exists("/mount-point")
    assert sorted(image.ls("/top", detail=False))[0] == "/top/absolute"
    image.pipe("/absolute", b"written through the link")
    assert image.cat("/etc/hostname") == b"written through the link"
    with image.kernel.open("/etc/hostname") as file:
        assert file.read() == "the kernel's"


def test_links_in_another_thread(image: liblinux.ImageFileSystem) -> None:
    image.os.symlink("/hello.txt", "/absolute")
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(image.cat("/absolute")))
    thread.start()
    thread.join()
    assert said == [b"hello from the image\n"]
