"""The images after a crash, against a model of a disk that knows nothing of how they are made.

The model is a machine. It has a platter and a cache; a written sector goes into the
cache, behind older versions of itself; and at any moment the cache may put the oldest
version of any sector down. A flush ends when the cache is empty, a write with FUA when
its sectors are down. All that the platter can look like when the power fails, found by
trying every possibility, must be exactly what `every_image` says, and what crash points
are made of.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liblinux.crash import STYLES, CrashImage, CrashPoint, Entry, Kind, Recorder, Recording, every_image
from liblinux.crash._points import draw
from liblinux.crash._schedule import crash_points

SECTOR = 512
SECTORS = 4
BASE = b"".join(bytes([letter]) * SECTOR for letter in b"abcd")

# A platter is a letter for each sector; a cache a queue of letters for each.
Disk = tuple[str, tuple[str, ...]]


def settled(disks: Iterable[Disk]) -> set[Disk]:
    """All that the disks may become when the cache puts down what it likes."""
    found = set(disks)
    fresh = set(found)
    while fresh:
        platter, cache = fresh.pop()
        for sector in range(SECTORS):
            if not cache[sector]:
                continue
            oldest, rest = cache[sector][:1], cache[sector][1:]
            after = (
                platter[:sector] + oldest + platter[sector + 1 :],
                (*cache[:sector], rest, *cache[sector + 1 :]),
            )
            if after not in found:
                found.add(after)
                fresh.add(after)
    return found


def touched(entry: Entry) -> range:
    return range(entry.offset // SECTOR, (entry.offset + entry.length) // SECTOR)


def begun(disk: Disk, entry: Entry) -> Disk:
    """The sectors of a request are in the cache."""
    platter, cache = disk
    letters = {sector: letter_of(entry, sector) for sector in touched(entry)}
    return platter, tuple(cache[sector] + letters.get(sector, "") for sector in range(SECTORS))


def letter_of(entry: Entry, sector: int) -> str:
    if entry.kind is Kind.DISCARD:
        return "\0"
    return chr(entry.data[sector * SECTOR - entry.offset])


def ended(disk: Disk, entry: Entry) -> bool:
    """Whether a request can have ended with the disk in this state."""
    cache = disk[1]
    if entry.kind is Kind.FLUSH:
        return not any(cache)
    return not entry.stable or not any(cache[sector] for sector in touched(entry))


def model(entries: list[Entry]) -> list[set[str]]:
    """For each crash position, all platters that there can be."""
    disks: set[Disk] = {("abcd", ("",) * SECTORS)}
    platters = []
    for entry in entries:
        disks = settled(begun(disk, entry) for disk in disks)
        platters.append({platter for platter, _ in disks})
        disks = {disk for disk in disks if ended(disk, entry)}
    platters.append({platter for platter, _ in settled(disks)})
    return platters


def letters(image: bytes) -> str:
    """A letter for each sector, none of which may be mixed."""
    sectors = [image[start : start + SECTOR] for start in range(0, len(image), SECTOR)]
    assert all(len(set(sector)) == 1 for sector in sectors)
    return "".join(chr(sector[0]) for sector in sectors)


@st.composite
def request_lists(draw: st.DrawFn) -> list[Entry]:
    """Some requests; every write has a letter of its own."""
    entries = []
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from([Kind.WRITE, Kind.WRITE, Kind.WRITE, Kind.FLUSH, Kind.DISCARD]))
        if kind is Kind.FLUSH:
            entries.append(Entry(kind))
            continue
        start = draw(st.integers(0, SECTORS - 1))
        length = draw(st.integers(1, SECTORS - start)) * SECTOR
        if kind is Kind.DISCARD:
            entries.append(Entry(kind, start * SECTOR, length))
        else:
            data = bytes([ord("A") + number]) * length
            entries.append(Entry(kind, start * SECTOR, length, data, draw(st.booleans())))
    return entries


def recorded(entries: Iterable[Entry]) -> Recording:
    """The same requests, made of a recorder."""
    recorder = Recorder(BASE)
    for entry in entries:
        if entry.kind is Kind.WRITE:
            recorder.pwrite(entry.offset, memoryview(entry.data), entry.stable)
        elif entry.kind is Kind.FLUSH:
            recorder.flush()
        else:
            recorder.discard(entry.offset, entry.length)
    recording = recorder.recording()
    assert list(recording.entries) == list(entries)
    return recording


def write(letter: str, first: int, sectors: int = 1, *, stable: bool = False) -> Entry:
    return Entry(Kind.WRITE, first * SECTOR, sectors * SECTOR, letter.encode() * sectors * SECTOR, stable)


FLUSH = Entry(Kind.FLUSH)


@settings(max_examples=300, deadline=None)
@given(request_lists())
@example([write("A", 0, 4), write("B", 1, 2, stable=True), write("C", 0, 2)])
@example([write("A", 0), write("B", 0), FLUSH, write("C", 0), Entry(Kind.DISCARD, 0, 2 * SECTOR), FLUSH])
def test_every_legal_image_and_no_other(entries: list[Entry]) -> None:
    recording = recorded(entries)
    for position, platters in enumerate(model(entries)):
        ours = [letters(image) for image in every_image(recording, position)]
        assert set(ours) == platters, position


@settings(max_examples=150, deadline=None)
@given(request_lists(), st.integers(0, 2**32), st.sampled_from([SECTOR, 2 * SECTOR, 4096]))
def test_crash_points_are_legal_images(entries: list[Entry], seed: int, atomic: int) -> None:
    recording = recorded(entries)
    platters = model(entries)
    image = CrashImage(recording, atomic)
    for point in crash_points(recording, 40, seed, atomic):
        image.seek(point)
        assert letters(image.data[:]) in platters[point.position], str(point)


@settings(max_examples=60, deadline=None)
@given(request_lists(), st.randoms(use_true_random=False))
def test_going_on_and_back_is_as_good_as_a_new_start(entries: list[Entry], chance: random.Random) -> None:
    recording = recorded(entries)
    walking = CrashImage(recording, SECTOR)
    found: dict[int, bytes] = {}
    for _ in range(30):
        point = draw(chance.randrange(recording.positions), chance)
        identity = walking.seek(point)
        fresh = CrashImage(recording, SECTOR)
        assert fresh.seek(point) == identity == fresh.identity(point)
        assert fresh.seek(point) == identity
        assert walking.data[:] == fresh.data[:]
        assert found.setdefault(identity, fresh.data[:]) == fresh.data[:]


def test_torn_alone_finds_every_image() -> None:
    """Two versions of three sectors and one of the fourth: 3^3 * 2 images, and none is out of reach."""
    entries = [write("A", 0, 3), write("B", 0, 4)]
    recording = recorded(entries)
    image = CrashImage(recording, SECTOR)
    found = set()
    for number in range(5000):
        image.seek(CrashPoint(2, "torn", number))
        found.add(letters(image.data[:]))
    expected = {"".join(choice) for choice in itertools.product("aAB", "bAB", "cAB", "dB")}
    assert found == expected == model(entries)[2]


def test_atomic_blocks_are_not_torn() -> None:
    recording = recorded([write("A", 0, 4)])
    image = CrashImage(recording, 2 * SECTOR)
    found = set()
    for style, number in itertools.product(STYLES, range(200)):
        image.seek(CrashPoint(1, style, number))
        found.add(letters(image.data[:]))
    assert found == {"abcd", "AAcd", "abAA", "AAAA"}


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("lost", {"abcd"}),
        ("kept", {"ABCd"}),
        ("cut", {"abcd", "Abcd", "ABcd", "ABCd"}),
        ("one-lost", {"aBCd", "AbCd", "ABcd"}),
        ("one-kept", {"Abcd", "aBcd", "abCd"}),
        ("some", {"".join(choice) for choice in itertools.product("aA", "bB", "cC", "d")}),
        ("torn", {"".join(choice) for choice in itertools.product("aA", "bB", "cC", "d")}),
    ],
)
def test_styles(style: str, expected: set[str]) -> None:
    image = CrashImage(recorded([write("A", 0), write("B", 1), write("C", 2)]))
    found = set()
    for number in range(300):
        image.seek(CrashPoint(3, style, number))
        found.add(letters(image.data[:]))
    assert found == expected


def test_a_point_and_its_name() -> None:
    point = CrashPoint(812, "torn", 0x3FA1)
    assert str(point) == "812:torn:3fa1" and CrashPoint.parse(str(point)) == point
    for wrong in ("", "812", "812:torn", "812:nothing:1", "x:torn:1", "812:torn:zz", "1:torn:2:3"):
        with pytest.raises(ValueError, match="crash point"):
            CrashPoint.parse(wrong)


def test_points_come_from_the_seed_and_cover_all_positions() -> None:
    entries = [write("A", 0, 4), FLUSH, write("B", 1, 2, stable=True), write("C", 0, 2), write("D", 2)]
    recording = recorded(entries)
    points = crash_points(recording, 100, 7, SECTOR)
    assert points == crash_points(recording, 100, 7, SECTOR) != crash_points(recording, 100, 8, SECTOR)
    assert len(points) == 100 and {point.position for point in points} == set(range(len(entries) + 1))
    assert len(crash_points(recording, 3, 7)) == 3


def test_no_image_comes_twice_if_there_are_enough() -> None:
    recording = recorded([write("A", 0, 4), write("B", 0, 4), write("C", 0, 4)])
    image = CrashImage(recording, SECTOR)
    points = crash_points(recording, 100, 7, SECTOR)
    assert len({image.seek(point) for point in points}) == 100
    # A sector that was written once is there or not: that is all, however often it is tried.
    recording = recorded([write("A", 0)])
    image = CrashImage(recording, SECTOR)
    points = crash_points(recording, 100, 7, SECTOR)
    assert len(points) == 100 and len({image.seek(point) for point in points}) == 2


def test_the_same_image_with_more_promises_is_another_case() -> None:
    recorder = Recorder(BASE)
    recorder.pwrite(0, memoryview(b"A" * SECTOR))
    image = CrashImage(recorder.recording())
    assert image.seek(CrashPoint(0, "kept", 0)) == image.seek(CrashPoint(1, "kept", 0))
    recorder.promise("A")
    image = CrashImage(recorder.recording())
    assert image.seek(CrashPoint(0, "kept", 0)) != image.seek(CrashPoint(1, "kept", 0))


def test_enough_points_are_all_images() -> None:
    entries = [write("A", 0, 4), FLUSH, write("B", 1, 2, stable=True), write("C", 0, 2), write("D", 2)]
    recording = recorded(entries)
    image = CrashImage(recording, SECTOR)
    found = set()
    for point in crash_points(recording, 400, 7, SECTOR):
        image.seek(point)
        found.add(letters(image.data[:]))
    assert found == set().union(*model(entries))


def test_wrong_arguments() -> None:
    recording = recorded([])
    with pytest.raises(ValueError, match="power of two"):
        CrashImage(recording, 1000)
    with pytest.raises(ValueError, match="sector, 512"):
        CrashImage(recording, 256)
    with pytest.raises(ValueError, match="position 1"):
        CrashImage(recording).seek(CrashPoint(1, "lost", 0))
