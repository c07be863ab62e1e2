"""From the metadata of a volume group to tables of the device mapper.

Logical volumes stand on physical ones or on each other (the legs of a mirror, the
data of a thin pool), so they are made from below. What is not made here says so:
caches, VDO, integrity, and volumes that are being moved or merged.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from liblinux._errors import VolumeError
from liblinux.volumes._mapper import SECTOR, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from liblinux.volumes._device import Device
    from liblinux.volumes._lvm import Group
    from liblinux.volumes._mapper import Mapper

__all__ = ["GroupMaker"]

_DEEPEST = 8
# Pools hold no file system, and a snapshot is seen under the name of its store.
_HIDDEN_TYPES = ("thin-pool", "cache-pool", "snapshot")
_MISSING = "give the image that it is on too: --with IMAGE, members=[...]"
_THIN_LOW_WATER_BLOCKS = 0  # an event when the pool fills up, for a daemon that is not here


class GroupMaker:
    """Makes the logical volumes of a group; `physical` has its devices by UUID, without the dashes."""

    def __init__(
        self, mapper: Mapper, group: Group, physical: Mapping[str, Device], *, readonly: bool, in_place: bool
    ) -> None:
        self.group = group
        self._mapper = mapper
        self.physical = physical
        self._readonly = readonly
        self._in_place = in_place
        self._made: dict[str, str] = {}
        # The segments that make a snapshot are in volumes of their own, hidden ones.
        segments = [segment for logical in group.logical.values() for segment in _segments(logical)]
        self._snapshots = {each["cow_store"]: each for each in segments if each["type"] == "snapshot"}
        self._origins = {each["origin"] for each in self._snapshots.values()}

    def visible(self) -> list[str]:
        """The names of the volumes that users see, but for pools, which hold no file system."""
        return [
            name
            for name, logical in self.group.logical.items()
            if name in self._snapshots
            or ("VISIBLE" in logical["status"] and _segments(logical)[0]["type"] not in _HIDDEN_TYPES)
        ]

    def size(self, name: str) -> int:
        """Size of a volume in bytes."""
        logical = self._logical(self._snapshots[name]["origin"] if name in self._snapshots else name)
        return sum(int(each["extent_count"]) for each in _segments(logical)) * self._extent * SECTOR

    def devices_below(self, name: str) -> tuple[Device, ...]:
        """The physical volumes that a volume is on, those that are here."""
        names = self._physical_below(name, 0)
        return tuple(device for pv in sorted(names) if (device := self._physical_device(pv)) is not None)

    def kinds(self, name: str) -> list[str]:
        """The types of its segments."""
        if name in self._snapshots:
            return ["snapshot"]
        return list(dict.fromkeys(self._kind(each) for each in _segments(self._logical(name))))

    def make(self, name: str) -> str:
        """Make a volume and all that it stands on; returns the path of its node. VolumeError."""
        if name in self._snapshots:
            return self._make_snapshot(name)
        return self._make_origin(name) if name in self._origins else self._make(name, 0)

    @property
    def _extent(self) -> int:
        return self.group.extent_sectors

    def _logical(self, name: str) -> dict[str, Any]:
        return self.group.logical[name]

    def _kind(self, segment: dict[str, Any]) -> str:
        kind: str = segment["type"]
        return "linear" if kind == "striped" and segment["stripe_count"] == 1 else kind

    def _make(self, name: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise self._refused(name, errno.EBADMSG, "volumes lie on each other without end")
        if name not in self._made:
            table = [self._target(name, segment, depth) for segment in _segments(self._logical(name))]
            self._made[name] = self._node(name, table)
        return self._made[name]

    def _node(self, name: str, table: list[Target]) -> str:
        try:
            return self._mapper.make(f"{self.group.name}-{name}", table, readonly=self._readonly)
        except OSError as error:
            reason = f"the kernel does not take its table: {error.strerror}"
            raise self._refused(name, error.errno or 0, reason) from error

    def _target(self, name: str, segment: dict[str, Any], depth: int) -> Target:
        kind = self._kind(segment)
        makers: dict[str, Callable[[str, dict[str, Any], int], str]] = {
            "linear": self._linear,
            "striped": self._striped,
            "mirror": self._mirror,
            "thin": self._thin,
            "thin-pool": self._thin_pool,
        }
        start, length = (int(segment[key]) * self._extent for key in ("start_extent", "extent_count"))
        if kind in ("zero", "error"):
            return Target(start, length, kind, "")
        if kind.startswith("raid"):
            return Target(start, length, "raid", self._raid(name, segment, depth))
        if kind not in makers:
            raise self._refused(name, errno.EOPNOTSUPP, f"volumes of the type {kind} are not supported")
        return Target(start, length, kind, makers[kind](name, segment, depth))

    def _linear(self, name: str, segment: dict[str, Any], depth: int) -> str:
        on, extent = segment["stripes"]
        return self._place(name, on, extent, depth)

    def _striped(self, name: str, segment: dict[str, Any], depth: int) -> str:
        places = self._places(name, segment["stripes"], depth)
        return f"{segment['stripe_count']} {segment['stripe_size']} {' '.join(places)}"

    def _mirror(self, name: str, segment: dict[str, Any], depth: int) -> str:
        # Its log is not asked: all legs are taken for equal, as after a clean end.
        places = self._places(name, segment["mirrors"], depth)
        return f"core 2 {segment['region_size']} nosync {len(places)} {' '.join(places)} 1 handle_errors"

    def _raid(self, name: str, segment: dict[str, Any], depth: int) -> str:
        kind = segment["type"]
        stripe = int(segment.get("stripe_size", 0))
        if kind == "raid0":
            legs = [f"- {self._leg(leg, depth)}" for leg in segment["raid0_lvs"]]
            return f"raid0 1 {stripe} {len(legs)} {' '.join(legs)}"
        names = segment["raids" if "raids" in segment else "raid0_lvs"]
        pairs = [f"{self._leg(meta, depth)} {self._leg(data, depth)}" for meta, data in _pairs(names)]
        if sum(pair.startswith("- ") or pair.endswith(" -") for pair in pairs) == len(pairs):
            raise self._refused(name, errno.ENXIO, "none of its parts is there", _MISSING)
        pairs = [pair if "-" not in pair.split() else "- -" for pair in pairs]
        parameters = [str(stripe)]
        if not self._in_place:
            # Else it would be resynchronised, into the memory of an overlay. RAID 6 knows no other means.
            parameters += ["max_recovery_rate", "1"] if kind.startswith("raid6") else ["nosync"]
        if kind != "raid0_meta" and "region_size" in segment:
            parameters += ["region_size", str(segment["region_size"])]
        if kind == "raid10" and "data_copies" in segment:
            parameters += ["raid10_copies", str(segment["data_copies"])]
        kind = {"raid5": "raid5_ls", "raid6": "raid6_zr"}.get(kind, kind)
        return f"{kind} {len(parameters)} {' '.join(parameters)} {len(pairs)} {' '.join(pairs)}"

    def _leg(self, name: str, depth: int) -> str:
        """The node of a part of a RAID, "-" when it is on a physical volume that is not here."""
        below = self._physical_below(name, depth)
        if any(self._physical_device(physical) is None for physical in below):
            return "-"
        return self._make(name, depth + 1)

    def _thin_pool(self, name: str, segment: dict[str, Any], depth: int) -> str:
        metadata, data = (self._make(segment[key], depth + 1) for key in ("metadata", "pool"))
        features = " 1 read_only" if self._readonly else ""
        return f"{metadata} {data} {segment['chunk_size']} {_THIN_LOW_WATER_BLOCKS}{features}"

    def _thin(self, name: str, segment: dict[str, Any], depth: int) -> str:
        below = f" {self._make(segment['external_origin'], depth + 1)}" if "external_origin" in segment else ""
        return f"{self._make(segment['thin_pool'], depth + 1)} {segment['device_id']}{below}"

    def _make_snapshot(self, name: str) -> str:
        node = f"{name}-snapshot"
        if node not in self._made:
            segment = self._snapshots[name]
            if "merging_store" in segment:
                raise self._refused(name, errno.EOPNOTSUPP, "it is being merged into its origin")
            origin, store = self._make(segment["origin"], 0), self._make(name, 0)
            table = Target(0, self.size(name) // SECTOR, "snapshot", f"{origin} {store} P {segment['chunk_size']}")
            self._made[node] = self._node(node, [table])
        return self._made[node]

    def _make_origin(self, name: str) -> str:
        """What has snapshots is written through a device that copies to them what was there before."""
        node = f"{name}-origin"
        if node not in self._made:
            for snapshot, segment in self._snapshots.items():
                if segment["origin"] == name:
                    self._make_snapshot(snapshot)
            table = Target(0, self.size(name) // SECTOR, "snapshot-origin", self._make(name, 0))
            self._made[node] = self._node(node, [table])
        return self._made[node]

    def _places(self, name: str, flat: list[Any], depth: int) -> list[str]:
        return [self._place(name, device, extent, depth) for device, extent in _pairs(flat)]

    def _place(self, name: str, on: str, extent: int, depth: int) -> str:
        """A device and a sector, as tables have them."""
        if on in self.group.logical:
            return f"{self._make(on, depth + 1)} {extent * self._extent}"
        device = self._physical_device(on)
        if device is None:
            uuid = self.group.physical[on]["id"]
            raise self._refused(name, errno.ENXIO, f"its physical volume {on} (UUID {uuid}) is missing", _MISSING)
        return f"{device.path} {int(self.group.physical[on]['pe_start']) + extent * self._extent}"

    def _physical_device(self, name: str) -> Device | None:
        return self.physical.get(self.group.physical[name]["id"].replace("-", ""))

    def _physical_below(self, name: str, depth: int) -> set[str]:
        """The names of the physical volumes that a volume is on."""
        if name in self.group.physical:
            return {name}
        if depth > _DEEPEST:
            return set()
        if name in self._snapshots and depth == 0:
            return self._physical_below(self._snapshots[name]["origin"], 1) | self._physical_below(name, 1)
        found: set[str] = set()
        for segment in _segments(self._logical(name)):
            for below in _names_in(segment, self.group):
                found |= self._physical_below(below, depth + 1)
        return found

    def _refused(self, name: str, number: int, reason: str, advice: str = "") -> VolumeError:
        return VolumeError(number, f"{self.group.name}/{name}: {reason}", advice=advice)


def _segments(logical: dict[str, Any]) -> list[dict[str, Any]]:
    return [logical[f"segment{number}"] for number in range(1, int(logical["segment_count"]) + 1)]


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _names_in(segment: dict[str, Any], group: Group) -> list[str]:
    """The volumes, of both kinds, that a segment is on."""
    named: list[str] = []
    for key in ("stripes", "mirrors", "raids", "raid0_lvs", "metadata", "pool", "thin_pool", "external_origin"):
        value = segment.get(key, [])
        named += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    return [name for name in named if name in group.logical or name in group.physical]
