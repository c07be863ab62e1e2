"""`liblinux info`: what an image is, and what is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from liblinux._image_disks import ImageDisks
from liblinux.commands._asking import unpacking
from liblinux.commands._image import ImageOptions, image_options, refusing
from liblinux.commands._lines import shown
from liblinux.commands._output import human_size, print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["info_command"]

_HEADINGS = ("NAME", "KIND", "TYPE", "LABEL", "SIZE", "FREE", "UUID")


@click.command("info")
@click.argument("image")
@click.option("--json", "as_json", is_flag=True, help="Print all that is known, as JSON; sizes are in bytes.")
@image_options
def info_command(image: str, as_json: bool, image_options: ImageOptions) -> None:
    """Say what an image is, and what is on it.

    Container, partitions, volumes, file systems with labels, UUIDs, sizes, free
    space and features. Each file system is mounted for a moment, read-only and over
    an overlay: the image is not changed. A LUKS volume is opened if its pass phrase
    is given with --passphrase-file.

    \b
    Examples:
      liblinux info disk.img
      liblinux info --json disk.qcow2 | jq '.devices[] | {name, type, label}'
      liblinux info --with second.img first.img
      liblinux info --untrusted found-on-the-street.vmdk
    """
    from liblinux.imageinfo import inspect  # noqa: PLC0415 - after the help

    with refusing(image), unpacking(image) as progress:
        disks = ImageDisks(image.removesuffix(":/").removesuffix(":"), **image_options.opening(progress=progress))
    try:
        found = inspect(disks, image)
    finally:
        disks.close()
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    print_line(shown(_headline(found)))
    listed = [device for device in found["devices"] if device["kind"] != "disk" or device["type"] or device["on"]]
    if listed:
        print_line("")
        for line in _aligned([_HEADINGS, *map(_row, listed)]):
            print_line(shown(line))
    notes = [note for device in listed for note in _notes(device)]
    notes += found["problems"]
    if found["nothing_known"]:
        notes.append(found["nothing_known"])
    if notes:
        print_line("")
    for note in notes:
        print_line(shown(note))


def _headline(found: dict[str, Any]) -> str:
    container = [f"{name.replace('_', ' ')} {value}" for name, value in found["container"].items() if value]
    file = f", {human_size(found['file_size'])} file" if found["file_size"] not in (None, found["size"]) else ""
    table = f", {found['table'].upper()} partition table" if found["table"] else ""
    inside = f" ({', '.join(container)})" if container else ""
    return f"{found['image']}: {found['format']}{inside}, {human_size(found['size'])} disk{file}{table}"


def _row(device: dict[str, Any]) -> tuple[str, ...]:
    kind = device["kind"]
    more = device.get("types", [device["level"]] if "level" in device else [])
    filesystem = device.get("filesystem")
    return (
        device["name"],
        " ".join([kind, *more]),
        device["type"] or "-",
        device["label"] or device.get("part_label") or "-",
        human_size(device["size"]),
        human_size(filesystem["free"]) if filesystem else "-",
        device["uuid"] or "-",
    )


def _notes(device: dict[str, Any]) -> Iterable[str]:
    if "problem" in device:
        yield f"{device['name']}: {device['problem']}"
    features = device.get("filesystem", {}).get("features")
    if features:
        yield f"{device['name']}: {device['type']} with {' '.join(features)}"


def _aligned(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = {_HEADINGS.index("SIZE"), _HEADINGS.index("FREE")}
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
