"""All that the disks of an image hold: partitions, and volumes on them, and volumes on those."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, TypeAlias

from liblinux._choose import as_number, find_partition, has_name
from liblinux._disk import partitions_of, probe
from liblinux._errors import VolumeError
from liblinux._signatures import RAID_TYPE
from liblinux.volumes._device import Device, devices_of, partition_device
from liblinux.volumes._mapper import Mapper
from liblinux.volumes._md import Arrays, Member, read_member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from liblinux._disk import Disk
    from liblinux._kernel import Kernel
    from liblinux.volumes._lvm import Group, Physical
    from liblinux.volumes._lvm_tables import GroupMaker

__all__ = ["Passphrase", "Storage"]

# Text, bytes, or what is asked for it and told for what.
Passphrase: TypeAlias = "str | bytes | Callable[[str], str | bytes] | None"  # noqa: S105 - a type

_LUKS, _LVM = "crypto_LUKS", "LVM2_member"
_LOCKED_ADVICE = "give its pass phrase: passphrase=, or --passphrase-file"
_TRIES = 3


class Storage:
    """The devices of some disks. `devices` are all that were found, `problems` what stood in the way.

    `readonly`: nothing may be written, to an overlay neither. `in_place`: what is
    written reaches the images, so nothing may be left in disorder, and what was is
    put in order; else it is only to be read, and nothing is resynchronised. Of the
    logical volumes only the one that is `wanted` is made, if that is the name of one.
    """

    def __init__(
        self,
        kernel: Kernel,
        disks: Sequence[Disk],
        passphrase: Passphrase = None,
        *,
        readonly: bool,
        in_place: bool,
        wanted: str | None = None,
    ) -> None:
        self.devices: list[Device] = []
        self.problems: list[VolumeError] = []
        self._kernel = kernel
        self._disks = disks
        self._passphrase = passphrase
        self._wanted = _plain_name(wanted) if wanted is not None else None
        self._readonly = readonly
        self._in_place = in_place
        self._mapper = Mapper(kernel)
        self._arrays = Arrays(kernel, in_place=in_place)
        self._members: dict[str, list[Member]] = {}
        self._physical: dict[str, Physical] = {}
        self._groups: dict[str, GroupMaker] = {}
        self._nonsense: set[str] = set()
        self._looked_at: set[str] = set()
        kernel._at_shutdown.append(self._stop)
        for number, disk in enumerate(disks, 1):
            self.devices += devices_of(kernel, disk, number)
        self._settle()

    def _stop(self) -> None:
        self._mapper.remove_all()
        self._arrays.stop()

    # ---- choosing ------------------------------------------------------------

    def choose(self, partition: int | str | None, volume: str | None) -> str:
        """The node of the file system that is meant; VolumeError or MountError when that is not clear."""
        top = self._find(partition, volume)
        leaves = self._leaves(top)
        if not leaves and (locked := self._locked(top)):
            if len(locked) > 1:
                raise self._failure(errno.EINVAL, "several volumes are encrypted", locked, "name one")
            self.unlock(locked[0])
            return self.choose(partition, volume)
        if top is None and len(leaves) > 1 and isinstance(self._passphrase, str | bytes):
            # Who gives a pass phrase means what it opens.
            leaves = [leaf for leaf in leaves if _kinds_below(leaf) & {"luks"}] or leaves
        if len(leaves) == 1 and (top is not None or not self._locked(top)):
            return leaves[0].path
        if top is not None and not leaves and (top.content is None or top.mountable) and top.path:
            return top.path  # what cannot be told may still be mounted, with a type
        raise self._unclear(top, leaves)

    def _find(self, partition: int | str | None, volume: str | None) -> Device | None:
        if volume is not None:
            return self._find_volume(volume, self.devices if partition is None else self._on(partition))
        return None if partition is None else self._find_partition(partition)

    def _on(self, partition: int | str) -> list[Device]:
        top = self._find_partition(partition)
        return [device for device in self.devices if device.is_on(top)]

    def _find_partition(self, wanted: int | str) -> Device:
        number = as_number(wanted)
        assert number is not None
        whole = self.devices[0]
        if number == 0:
            return whole
        own = [device for device in self.devices if device.partition is not None and device.parents == (whole,)]
        if isinstance(number, str):
            named = [device for device in self.devices if has_name(device, number) and not device.is_snapshot]
            if len(named) == 1:
                return named[0]
        found = find_partition([device.partition for device in own if device.partition], number, whole.path)
        return next(device for device in own if device.partition == found)

    def _find_volume(self, wanted: str, among: list[Device]) -> Device:
        name = _plain_name(wanted)
        found = [device for device in among if device.kind not in ("disk", "partition") and _is_called(device, name)]
        if len(found) == 1:
            device = found[0]
            if device.error is not None:
                raise device.error
            return device
        locked = [device for device in among if device.type == _LUKS and not self._children(device)]
        if not found and len(locked) == 1 and self._passphrase is not None:
            self.unlock(locked[0])
            return self._find_volume(wanted, self.devices)
        volumes = [device for device in among if device.kind not in ("disk", "partition")]
        reason = f"several volumes are called {wanted!r}" if found else f"there is no volume {wanted!r}"
        advice = "name one of these" if volumes or locked else "it has no volumes at all: name none, or a partition"
        raise self._failure(errno.ENXIO, reason, [*volumes, *locked], advice)

    def _leaves(self, top: Device | None) -> list[Device]:
        """What can be mounted, at the end of what is on `top`."""
        return [
            device
            for device in self.devices
            if device.path and device.mountable and not self._children(device)
            if device is top or ((top is None or device.is_on(top)) and not device.is_snapshot)
        ]

    def _locked(self, top: Device | None) -> list[Device]:
        return [
            device
            for device in self.devices
            if device.type == _LUKS and not self._children(device) and (top is None or device.is_on(top))
        ]

    def _children(self, device: Device) -> list[Device]:
        return [each for each in self.devices if device in each.parents]

    def _unclear(self, top: Device | None, leaves: list[Device]) -> VolumeError:
        if leaves:
            found = [*leaves, *self._locked(top)]
            return self._failure(errno.EINVAL, "several file systems are there", found, "name one of these")
        where = f"{top} " if top is not None else ""
        shown = [device for device in self.devices if device.kind != "disk" or device.content]
        return self._failure(errno.EINVAL, f"{where}holds no file system that is known", shown, "")

    def _failure(self, number: int, reason: str, found: Iterable[Device], advice: str) -> VolumeError:
        lines = [f"found {device}" for device in found]
        lines += [str(problem) for problem in self.problems]
        lines += [advice] if advice else []
        return VolumeError(number, reason, advice="\n  ".join(lines))

    # ---- opening LUKS --------------------------------------------------------

    def unlock(self, device: Device) -> None:
        """Open a LUKS volume with the pass phrase, which is asked for if it is a question. VolumeError."""
        what = f"{device.kind} {device.name} (UUID {device.fs_uuid})"
        if self._passphrase is None:
            raise VolumeError(errno.EACCES, f"{what} is encrypted (LUKS)", advice=_LOCKED_ADVICE)
        for _ in range(_TRIES if callable(self._passphrase) else 1):
            given = self._passphrase(what) if callable(self._passphrase) else self._passphrase
            if self._unlock(device, given):
                self._settle()
                return
        raise VolumeError(errno.EACCES, f"the pass phrase does not open {what}", advice="no key slot has this one")

    def _unlock(self, device: Device, given: str | bytes) -> bool:
        from liblinux.volumes._luks import open_luks  # noqa: PLC0415 - OpenSSL's hashes, and few images need them

        secret = os.fsencode(given) if isinstance(given, str) else given
        path = open_luks(self._kernel, self._mapper, device, secret, readonly=self._readonly)
        if path is None:
            return False
        uuid = device.fs_uuid
        self._add(Device("luks", f"luks-{uuid}", path, self._size(path), (device,), uuid=uuid))
        return True

    # ---- finding -------------------------------------------------------------

    def _settle(self) -> None:
        """Look at what was found until nothing more comes of it."""
        while True:
            fresh = [device for device in self.devices if device.path and device.path not in self._looked_at]
            for device in fresh:
                self._looked_at.add(device.path)
                self._look_at(device)
            if self._run_arrays() or self._try_passphrase():
                continue
            if not self._make_groups() and not fresh:
                return

    def _look_at(self, device: Device) -> None:
        if self._children(device):
            return
        if device.type == RAID_TYPE:
            member = read_member(self._kernel, device)
            if member is not None:
                self._members.setdefault(member.uuid, []).append(member)
        elif device.type == _LVM:
            from liblinux.volumes._lvm import read_physical  # noqa: PLC0415 - few images have LVM

            try:
                self._physical[device.path] = read_physical(self._kernel, device)
            except VolumeError as error:
                self.problems.append(error)

    def _run_arrays(self) -> bool:
        done = False
        for uuid, members in list(self._members.items()):
            if any(device.uuid == uuid for device in self.devices if device.kind == "md"):
                continue
            if self._assemble(uuid, members):
                done = True
        return done

    def _assemble(self, uuid: str, members: list[Member]) -> bool:
        parents = tuple(member.device for member in members)
        first = members[0]
        details = {"level": first.level, "metadata": first.version, "name": first.name, "disks": first.disks}
        try:
            name = self._arrays.assemble(members)
        except VolumeError as error:
            self.problems.append(error)
            device = Device("md", first.name or uuid, "", 0, parents, uuid=uuid, error=error)
            device.details = details
            self.devices.append(device)
            return False
        path = f"/dev/{name}"
        device = Device("md", name, path, self._size(path), parents, uuid=uuid)
        device.details = details
        self._add(device)
        for partition in partitions_of(self._kernel, name):
            self.devices.append(partition_device(self._kernel, device, partition))
        return True

    def _try_passphrase(self) -> bool:
        """A pass phrase that is there is tried on all that is locked; once, for each try takes seconds."""
        if self._passphrase is None or callable(self._passphrase):
            return False
        opened = False
        for device in self._locked(None):
            key = f"luks {device.path}"
            if key in self._looked_at:
                continue
            self._looked_at.add(key)
            try:
                opened = self._unlock(device, self._passphrase) or opened
            except VolumeError as error:
                self.problems.append(error)
        return opened

    def _make_groups(self) -> bool:
        """Make the logical volumes of which there is enough; those that were made stay."""
        groups = [physical.group for physical in self._physical.values() if physical.group is not None]
        newest = {group.uuid: group for group in sorted(groups, key=lambda group: group.sequence)}
        here = {physical.uuid: physical.device for physical in self._physical.values()}
        done = False
        for uuid, group in newest.items():
            if uuid in self._nonsense:
                continue
            try:
                done = self._make_group(uuid, group, here) or done
            except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
                # The checksum is right: somebody has written it so.
                self._nonsense.add(uuid)
                reason = f"the metadata of the volume group {group.name!r} makes no sense: {error!r}"
                self.problems.append(VolumeError(errno.EBADMSG, reason))
        return done

    def _make_group(self, uuid: str, group: Group, here: dict[str, Device]) -> bool:
        if uuid not in self._groups:
            from liblinux.volumes._lvm_tables import GroupMaker  # noqa: PLC0415 - few images have LVM

            self._groups[uuid] = GroupMaker(self._mapper, group, here, readonly=self._readonly, in_place=self._in_place)
        maker = self._groups[uuid]
        maker.physical = here
        made = [self._make_logical(maker, name) for name in self._wanted_of(maker)]
        return any(made)

    def _wanted_of(self, maker: GroupMaker) -> list[str]:
        """The names of the volumes to make; the one that is wanted has been shown to be there, or is looked for."""
        names = maker.visible()
        full = {name: f"{maker.group.name}/{name}" for name in names}
        return [name for name in names if self._wanted in (full[name], _mapper_name(full[name]))] or names

    def _make_logical(self, maker: GroupMaker, name: str) -> bool:
        full = f"{maker.group.name}/{name}"
        before = next((device for device in self.devices if device.kind == "lvm" and device.name == full), None)
        if before is not None and (before.path or before.error is None or before.error.errno != errno.ENXIO):
            return False  # made, or nothing that may still be found will help
        size, parents = maker.size(name), maker.devices_below(name)
        uuid = maker.group.logical[name]["id"]
        try:
            device = Device("lvm", full, maker.make(name), size, parents, uuid=uuid)
        except VolumeError as error:
            device = Device("lvm", full, "", size, parents, uuid=uuid, error=error)
        device.details = {"types": maker.kinds(name)}
        if before is not None:
            self.devices.remove(before)
        self._add(device)
        return bool(device.path)

    def _add(self, device: Device) -> None:
        if device.path:
            device.content = probe(self._kernel, device.path)
        self.devices.append(device)

    def _size(self, path: str) -> int:
        descriptor = self._kernel.os.open(path, os.O_RDONLY)
        try:
            return self._kernel.os.lseek(descriptor, 0, os.SEEK_END)
        finally:
            self._kernel.os.close(descriptor)


def _plain_name(volume: str) -> str:
    return volume.removeprefix("/dev/").removeprefix("mapper/")


def _kinds_below(device: Device) -> set[str]:
    return {device.kind}.union(*map(_kinds_below, device.parents))


def _is_called(device: Device, name: str) -> bool:
    """Whether a volume has this name, as LVM writes it or as the device mapper does, or this label or UUID."""
    names = (device.name, _mapper_name(device.name), device.uuid, str(device.details.get("name", "")))
    return name in names or (has_name(device, name) and not device.is_snapshot)


def _mapper_name(name: str) -> str:
    return name.replace("-", "--").replace("/", "-")
