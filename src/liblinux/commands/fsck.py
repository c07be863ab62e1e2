"""`liblinux fsck`: a file system's own checker on an image, or on what is in it."""

from __future__ import annotations

import fcntl
import os

import click

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._image import ImageOptions, image_options
from liblinux.commands._output import print_json, print_line

if TYPE_CHECKING:
    from liblinux.upkeep._checkers import Checker, Verdict
    from liblinux.upkeep._device import Device

__all__ = ["fsck_command"]

EXIT_FAILED = 1
# It cannot replay a log, only throw it away: the kernel does that before.
_NO_REPLAY = "xfs_repair"


@click.command("fsck")
@click.argument("image", metavar="IMAGE", type=click.Path())
@click.option("-n", "--no-changes", is_flag=True, help="Only look; that is what is done without --repair.")
@click.option("--repair", is_flag=True, help="Correct what is wrong, in the image.")
@click.option("--scrub", "scrubbing", is_flag=True, help="Let the kernel compare all with its checksums (Btrfs).")
@click.option("--json", "as_json", is_flag=True, help="An object with the verdict and what was printed.")
@image_options
def fsck_command(
    image: str, no_changes: bool, repair: bool, scrubbing: bool, as_json: bool, image_options: ImageOptions
) -> None:
    """Check a file system of an image with the checker that it comes with.

    Looked at is what the next mount would see: a journal that is not replayed yet is
    replayed in memory before. The image is not touched without --repair. What is in a
    partition, a volume or a container is copied to a file for the checker, and with
    --repair what that has changed is written back.

    \b
    Ends with 0 when all is well, or well again; with 1 when errors are left.

    \b
    Examples:
      liblinux fsck disk.img
      liblinux fsck --partition root --repair disk.img
      liblinux fsck --scrub btrfs.img
    """
    if repair and no_changes:
        raise click.UsageError("-n and --repair contradict each other: give one of them")
    if scrubbing:
        verdict, extra = _scrub(image_options, image, repair)
    else:
        verdict, extra = _check(image_options, image, repair=repair, show=not as_json)
    if as_json:
        print_json({"image": image, "state": verdict.state, "explanation": verdict.text, **extra})
    else:
        print_line(f"{image}: {verdict.state}: {verdict.text}")
    if verdict.state not in {"clean", "repaired"}:
        raise click.exceptions.Exit(EXIT_FAILED)


def _scrub(options: ImageOptions, image: str, repair: bool) -> tuple[Verdict, dict[str, object]]:
    from liblinux.upkeep._checkers import Verdict  # noqa: PLC0415 - imports subprocess
    from liblinux.upkeep._scrub import Scrubbed, scrub  # noqa: PLC0415

    with options.open(image, writable=repair) as opened:
        found = scrub(opened)
    values: dict[str, object] = {name: getattr(found, name) for name in Scrubbed.__match_args__}
    read = f"{found.data_bytes + found.tree_bytes:,} bytes read"
    if not found.errors:
        return Verdict("clean", f"{read}, no errors"), values
    text = f"{read}, {found.errors} errors, {found.corrected} corrected, {found.uncorrectable} cannot be corrected"
    return Verdict("repaired" if repair and not found.uncorrectable else "damaged", text), values


def _check(options: ImageOptions, image: str, *, repair: bool, show: bool) -> tuple[Verdict, dict[str, object]]:
    from liblinux.upkeep._device import Device  # noqa: PLC0415 - imports tempfile

    with Device(options, image) as device:
        checker = _checker_of(device.type, repair)
        _replay(device)
        in_place = device.is_whole_file and (repair or (checker.honest and not device.changes()))
        if not repair and not in_place and device.kernel.dead is None:
            return _run_on_copy(device, checker, repair=False, show=show)
    if in_place:
        return _run_in_place(options, checker, image, repair=repair, show=show)
    # Afresh: to write, or because the kernel did not survive the replay.
    with Device(options, image, writable=repair) as device:
        if repair and checker.check[0] == _NO_REPLAY:
            _replay(device, readonly=False)
        return _run_on_copy(device, checker, repair=repair, show=show)


def _run_on_copy(device: Device, checker: Checker, *, repair: bool, show: bool) -> tuple[Verdict, dict[str, object]]:
    with device.as_file(write_back=repair) as path:
        return _run(checker, checker.repair if repair else checker.check, path, repair=repair, show=show)


def _checker_of(type: str, repair: bool) -> Checker:
    from liblinux.upkeep._checkers import CHECKERS, find_program  # noqa: PLC0415 - imports subprocess

    checker = CHECKERS.get(type)
    if checker is None:
        known = ", ".join(CHECKERS)
        what = f"there is no free checker for {type}" if type else "the file system was not recognised: give --fs-type"
        raise LiblinuxError(f"{what}; there are some for {known}")
    command = checker.repair if repair else checker.check
    if not command:
        raise LiblinuxError(f"{checker.check[0]} can check {type}, but not repair it")
    find_program(command[0], checker.package)
    return checker


def _replay(device: Device, *, readonly: bool = True) -> None:
    """Let the kernel replay the journal. One that cannot be mounted is checked as it is."""
    try:
        device.mount_once(readonly=readonly)
    except (OSError, LiblinuxError) as error:
        reason = str(error).partition("\n")[0]
        click.echo(f"liblinux: it cannot be mounted, so it is checked as it is: {reason}", err=True)


def _run_in_place(
    options: ImageOptions, checker: Checker, image: str, *, repair: bool, show: bool
) -> tuple[Verdict, dict[str, object]]:
    """On the image file itself, locked as if it were attached."""
    from liblinux._backing import lock_image, open_image_file  # noqa: PLC0415
    from liblinux.upkeep._device import Device  # noqa: PLC0415 - imports tempfile

    if repair and checker.check[0] == _NO_REPLAY:
        with Device(options, image, writable=True) as device:
            _replay(device, readonly=False)
    descriptor = open_image_file(image, writable=repair)
    try:
        lock_image(descriptor, image, exclusive=repair)
        return _run(checker, checker.repair if repair else checker.check, image, repair=repair, show=show)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _run(
    checker: Checker, command: tuple[str, ...], path: str, *, repair: bool, show: bool
) -> tuple[Verdict, dict[str, object]]:
    from liblinux.upkeep._checkers import run_tool  # noqa: PLC0415 - imports subprocess

    code, printed = run_tool(command, checker.package, path, show=show)
    verdict = checker.judge(code, printed, repair)
    return verdict, {"command": [*command], "exit_code": code, "output": printed}
