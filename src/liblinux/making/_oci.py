"""Container images: an OCI layout, as a directory or a tar of it, and what `docker save` writes.

Sources: OCI image-spec (image-layout.md, image-index.md, manifest.md, descriptor.md);
Docker's image specification v1.2 for manifest.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as host_platform
import re
import tarfile

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._entry import safe_path
from liblinux.archives._errors import ArchiveError
from liblinux.archives._streams import decompressed
from liblinux.archives._tar_in import read_tar
from liblinux.making._layers import Layers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from liblinux.archives._entry import Entry

__all__ = ["ContainerImage", "DirectoryStore", "TarStore", "looks_like_image"]

_DIGEST = re.compile(r"sha(256|512):([0-9a-f]{64,128})")
_MEMBERS = re.compile(
    rb"blobs(/.*)?|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64}(\.json|\.tar|/.*)?"
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_PIECE_BYTES = 1 << 20


def looks_like_image(first_member: bytes) -> bool:
    """Whether a tar whose first member has this name may be one of a container image."""
    return _MEMBERS.fullmatch(first_member) is not None


class DirectoryStore:
    """The files of a layout in a directory."""

    def __init__(self, path: str) -> None:
        self.name = path

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(os.path.join(self.name, name))

    def open(self, name: str) -> IO[bytes]:
        """Open it; ArchiveError when it is not there."""
        try:
            return open(os.path.join(self.name, name), "rb")
        except FileNotFoundError:
            raise ArchiveError(f"{self.name} is not whole: it has no {name}") from None


class TarStore:
    """The same in an uncompressed tar, which can be read at any place."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        try:
            self._archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - as long as the store is there
            self._members = {os.path.normpath(member.name): member for member in self._archive}
        except tarfile.TarError as error:
            raise ArchiveError(f"{name} is damaged: {error}") from None

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._members

    def open(self, name: str) -> IO[bytes]:
        """Open it; ArchiveError when it is not there. A link leads to another layer, as in archives of Docker."""
        member = self._members.get(name)
        if member is not None and member.issym():
            member = self._members.get(os.path.normpath(os.path.join(os.path.dirname(name), member.linkname)))
        stream = self._archive.extractfile(member) if member is not None and not member.issym() else None
        if stream is None:
            raise ArchiveError(f"{self.name} is not whole: it has no {name}")
        return stream


class ContainerImage:
    """The file system of one image of a store.

    `platform` is "linux/arm64" or so, None for this machine's if there are several;
    `reference` the name of the image where a store has several. Raises ArchiveError
    and LiblinuxError, which names what there is to choose from.
    """

    def __init__(self, store: DirectoryStore | TarStore, platform: str | None, reference: str | None) -> None:
        self._store = store
        self._platform = platform
        self._reference = reference
        self._checked: set[str] = set()
        layers = self._oci() if store.has("index.json") else self._docker()
        self._layers = Layers([lambda layer=layer: self._entries(*layer) for layer in layers])  # type: ignore[misc]

    def entries(self) -> Iterator[Entry]:
        """The entries of all layers, whiteouts applied."""
        return self._layers.entries()

    def _entries(self, name: str, digest: str | None) -> Iterator[Entry]:
        """Those of one layer; the first time its digest is compared."""
        if digest is not None and digest not in self._checked:
            self._check(name, digest)
        with self._store.open(name) as file, decompressed(file, f"layer {name}") as stream:
            yield from read_tar(stream)

    def _check(self, name: str, digest: str) -> None:
        algorithm, wanted = digest.split(":")
        state = hashlib.new(algorithm)
        with self._store.open(name) as file:
            while data := file.read(_PIECE_BYTES):
                state.update(data)
        if state.hexdigest() != wanted:
            raise ArchiveError(f"{self._store.name} is damaged: {name} has the digest {algorithm}:{state.hexdigest()}")
        self._checked.add(digest)

    # ---- finding the layers

    def _oci(self) -> list[tuple[str, str | None]]:
        manifest = self._chosen(self._json("index.json"))
        return [(_blob(layer), str(layer["digest"])) for layer in _list(manifest, "layers")]

    def _chosen(self, index: dict[str, Any]) -> dict[str, Any]:
        """The manifest that is meant, of an index or of one inside of it."""
        found = [item for item in _list(index, "manifests") if _is_image(item)]
        if self._reference is not None and any(_names_of(item) for item in found):
            found = [item for item in found if self._reference in _names_of(item)]
        if len(found) > 1 or self._platform is not None:
            wanted = (self._platform or _host_platform()).split("/")
            fitting = [
                item for item in found if _platform_of(item)[: len(wanted)] == wanted or not item.get("platform")
            ]
            found = fitting
        if len(found) != 1:
            raise LiblinuxError(self._choice(index, found))
        manifest = self._json(_blob(found[0]), str(found[0]["digest"]))
        return self._chosen(manifest) if "manifests" in manifest else manifest

    def _choice(self, index: dict[str, Any], found: list[dict[str, Any]]) -> str:
        there = [
            " ".join([*_names_of(item)[:1], "/".join(_platform_of(item)), str(item.get("digest", ""))[:19]]).strip()
            for item in index["manifests"]
        ]
        what = "several images fit" if found else "no image fits"
        return f"{self._store.name}: {what}; name one with --platform or --reference. There are: {'; '.join(there)}"

    def _docker(self) -> list[tuple[str, str | None]]:
        if not self._store.has("manifest.json"):
            raise ArchiveError(f"{self._store.name} is no container image: it has neither index.json nor manifest.json")
        images = self._json("manifest.json")
        if not isinstance(images, list):
            raise ArchiveError(f"{self._store.name} is no container image: its manifest.json is no list")
        fitting = [image for image in images if self._reference in (None, *(image.get("RepoTags") or ()))]
        if len(fitting) != 1:
            tags = ", ".join(tag for image in images for tag in image.get("RepoTags") or ("(without a name)",))
            raise LiblinuxError(f"{self._store.name}: name the image with --reference; there are {tags}")
        return [(os.fsdecode(safe_path(os.fsencode(name))), None) for name in _list(fitting[0], "Layers")]

    def _json(self, name: str, digest: str | None = None) -> Any:
        if digest is not None:
            self._check(name, digest)
        with self._store.open(name) as file:
            try:
                return json.load(file)
            except ValueError as error:
                raise ArchiveError(f"{self._store.name} is damaged: {name}: {error}") from None


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise ArchiveError(f"the container image is damaged: no {key} where some should be")
    return found


def _blob(descriptor: dict[str, Any]) -> str:
    digest = _DIGEST.fullmatch(str(descriptor.get("digest")))
    if digest is None:
        raise ArchiveError(f"the container image is damaged: {descriptor.get('digest')!r} is no digest")
    return f"blobs/sha{digest[1]}/{digest[2]}"


def _is_image(descriptor: dict[str, Any]) -> bool:
    """Not a signature or an attestation, which have no platform to run on."""
    return "unknown" not in _platform_of(descriptor)


def _platform_of(descriptor: dict[str, Any]) -> list[str]:
    platform = descriptor.get("platform") or {}
    return [str(platform[key]) for key in ("os", "architecture", "variant") if platform.get(key)]


def _names_of(descriptor: dict[str, Any]) -> list[str]:
    annotations = descriptor.get("annotations") or {}
    return [str(annotations[key]) for key in _NAMES if key in annotations]


def _host_platform() -> str:
    machine = host_platform.machine()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"
