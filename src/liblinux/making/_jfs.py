"""The journal of a JFS that was just made and filled, formatted once more.

mkfs.jfs 1.1.15 and Linux (fs/jfs/jfs_logmgr.c) leave in it what their stacks held: addresses,
and words of the caller's environment. The same is in the field for the identifier of an
external journal, where there is none. Nobody reads these bytes, but they differ from run to
run, and are nobody's business. After a clean unmount nothing in the journal is needed, so that
it gets the content that lmLogFormat() of Linux gives to a new one. Layouts: struct
jfs_superblock, logsuper, logpage and lrd in Linux's fs/jfs.
"""

from __future__ import annotations

import struct

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO

__all__ = ["format_journal"]

_SUPER_BLOCKS = (0x8000, 0xF000)  # SUPER1_OFF, SUPER2_OFF
# Magic, s_bsize, s_flag, s_state, s_logpxd: 24 bits of length and 8 of the address, 32 of the address.
_SUPER = struct.Struct("<4s12xI16x2I28x2I")
_MAGIC = b"JFS1"
_INLINE_LOG = 0x800
_CLEAN = 0  # FM_CLEAN
_LOG_UUID_OFFSET, _UUID_BYTES = 168, 16

_PAGE_BYTES = 4096  # LOGPSIZE
_LOG_SUPER = struct.Struct("<I24xI")  # magic, state; in page 1
_LOG_END_OFFSET = 32  # behind them
_LOG_MAGIC = 0x87654321
_LOG_DONE = 1  # LOGREDONE
_FIRST_PAGE = 2  # LOGSTART_B
_ENDS = struct.Struct("<I2xH")  # page number and end of the records, before and behind them
_SYNC_POINT = struct.pack("<8xH26x", 0x4000)  # LOG_SYNCPT


def format_journal(path: str, start: int) -> None:
    """Make the journal empty, of the JFS that begins `start` bytes into the file `path`.

    Raises LiblinuxError when it was not unmounted cleanly.
    """
    with open(path, "r+b") as file:
        file.seek(start + _SUPER_BLOCKS[0])
        magic, block_bytes, flags, state, low, address = _SUPER.unpack(file.read(_SUPER.size))
        if magic != _MAGIC or state != _CLEAN:
            raise LiblinuxError(f"the JFS in {path} was not unmounted cleanly; make the image again")
        if not flags & _INLINE_LOG:
            return  # the journal is elsewhere, as options of mkfs said, and so the identifier is one
        for offset in _SUPER_BLOCKS:
            file.seek(start + offset + _LOG_UUID_OFFSET)
            file.write(bytes(_UUID_BYTES))
        place = start + ((low >> 24) << 32 | address) * block_bytes
        _format_log(file, place, (low & 0xFFFFFF) * block_bytes // _PAGE_BYTES)


def _format_log(file: IO[bytes], place: int, pages: int) -> None:
    file.seek(place + _PAGE_BYTES)
    magic, state = _LOG_SUPER.unpack(file.read(_LOG_SUPER.size))
    if (magic, state) != (_LOG_MAGIC, _LOG_DONE):
        raise LiblinuxError("the journal of the new JFS is still needed; make the image again")
    file.seek(place + _PAGE_BYTES + _LOG_END_OFFSET)
    file.write(struct.pack("<I", _FIRST_PAGE * _PAGE_BYTES + _ENDS.size + len(_SYNC_POINT)))
    file.seek(place + _FIRST_PAGE * _PAGE_BYTES)
    # As if it had wrapped: the search for its end is for the highest number.
    file.write(_page(pages - 3, _SYNC_POINT))
    for number in range(pages - 3):
        file.write(_page(number, b""))


def _page(number: int, records: bytes) -> bytes:
    ends = _ENDS.pack(number, _ENDS.size + len(records))
    return ends + records.ljust(_PAGE_BYTES - 2 * _ENDS.size, b"\0") + ends
