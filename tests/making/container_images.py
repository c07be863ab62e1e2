"""Container images for tests: an OCI layout and what `docker save` writes, from layers that are lists of members."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

# Name, attributes of a TarInfo, content.
Member = tuple[str, dict[str, Any], bytes]

BASE: list[Member] = [
    ("bin", {"type": tarfile.SYMTYPE, "linkname": "usr/bin"}, b""),
    ("usr/bin", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
    ("usr/bin/tool", {"mode": 0o4755}, b"old tool"),
    ("usr/bin/other name", {"type": tarfile.LNKTYPE, "linkname": "usr/bin/tool"}, b""),
    ("etc/passwd", {"uid": 70_000}, b"root"),
    ("etc/shadow", {"mode": 0o600}, b"secret"),
    ("var/cache/a/b", {}, b"cached"),
    ("var/cache/c", {}, b"cached too"),
]
CHANGES: list[Member] = [
    ("bin/tool", {"mode": 0o755}, b"new tool"),  # by way of the link of the layer below
    ("etc/.wh.shadow", {}, b""),
    ("var/cache/new", {}, b"kept"),
    ("var/cache/.wh..wh..opq", {}, b""),
    ("etc", {"type": tarfile.DIRTYPE, "mode": 0o750}, b""),
]
LAYERS = [BASE, CHANGES]
# What is seen in the end: kind and content.
SEEN = {
    "bin": b"-> usr/bin",
    "usr": None,
    "usr/bin": None,
    "usr/bin/tool": b"new tool",
    "usr/bin/other name": b"old tool",
    "etc": None,
    "etc/passwd": b"root",
    "var": None,
    "var/cache": None,
    "var/cache/new": b"kept",
}


MEDIA = "application/vnd.oci.image.layer.v1.tar"
COMPRESSIONS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("+gzip", gzip.compress),
    ("+zstd", zstandard.compress),
    ("", bytes),
]


def tar(members: list[Member]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, attributes, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1_600_000_000
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def layout(directory: Path, platforms: dict[str, list[list[Member]]], reference: str = "test:latest") -> Path:
    """An OCI layout with an image for each platform; layers compressed in different ways."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    manifests = []
    for platform, layers in platforms.items():
        kinds: list[tuple[str, Callable[[bytes], bytes]]] = [
            ("+gzip", gzip.compress),
            ("+zstd", zstandard.compress),
            ("", bytes),
        ]
        media = "application/vnd.oci.image.layer.v1.tar"
        added = [add(kinds[at % 3][1](tar(members)), media + kinds[at % 3][0]) for at, members in enumerate(layers)]
        system, architecture = platform.split("/")
        config = {"os": system, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}
        manifest = {
            "schemaVersion": 2,
            "config": add(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": added,
        }
        descriptor = add(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        manifests.append({**descriptor, "platform": {"os": system, "architecture": architecture}})
    nested = add(
        json.dumps({"schemaVersion": 2, "manifests": manifests}).encode(), "application/vnd.oci.image.index.v1+json"
    )
    top = {**nested, "annotations": {"org.opencontainers.image.ref.name": reference}}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def packed(directory: Path, path: Path) -> Path:
    """A layout as a tar."""
    with tarfile.open(path, "w") as archive:
        for name in ("blobs", "index.json", "oci-layout"):
            archive.add(directory / name, name)
    return path


def docker_save(path: Path, images: dict[str, list[list[Member]]]) -> Path:
    """The older form of `docker save`: a directory for each layer, equal layers as links."""
    members: list[Member] = []
    manifest = []
    seen: dict[bytes, str] = {}
    for tag, layers in images.items():
        names = []
        for layer in layers:
            data = tar(layer)
            name = f"{hashlib.sha256(data + tag.encode()).hexdigest()}/layer.tar"
            if data in seen:
                members.append((name, {"type": tarfile.SYMTYPE, "linkname": f"../{seen[data]}"}, b""))
            else:
                members.append((name, {}, data))
                seen[data] = name
            names.append(name)
        manifest.append({"Config": "config.json", "RepoTags": [tag], "Layers": names})
    members.append(("manifest.json", {}, json.dumps(manifest).encode()))
    path.write_bytes(tar(members))
    return path
