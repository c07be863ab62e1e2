"""A program's own format: a log of records, each with its length and checksum.

    liblinux crashtest examples/crash/journal.py --fs xfs --fs ext4

Records are appended, many between two fsyncs. After a crash the log is read up to the
first record that is not whole. What was fsynced must be among those that are read; of the
others there may be some, but only as they were written and in their order. Then the
program goes on: it cuts the rest off and appends, which must work as well.
"""

import random
import struct
import zlib

HEAD = struct.Struct("<II")  # length of the payload, its CRC-32
RECORDS = 300


def payload(number):
    return random.Random(number).randbytes(number * 7 % 900) + str(number).encode()


def encode(number):
    data = payload(number)
    return HEAD.pack(len(data), zlib.crc32(data)) + data


def decode(log):
    """The payloads of the whole records, and where the last of them ends."""
    found, end = [], 0
    while end + HEAD.size <= len(log):
        length, checksum = HEAD.unpack_from(log, end)
        data = log[end + HEAD.size : end + HEAD.size + length]
        if len(data) < length or not length or zlib.crc32(data) != checksum:
            break
        found.append(data)
        end += HEAD.size + length
    return found, end


def workload(fs):
    chance = random.Random(1)
    fs.write("log", b"", fsync=True)
    fs.fsync()
    fs.promise("records", 0)
    for number in range(RECORDS):
        with fs.open("log", "ab") as file:
            file.write(encode(number))
        if chance.random() < 0.1:
            fs.fsync("log")
            fs.promise("records", number + 1)
        if number % 100 == 50:
            fs.sleep(31)


def check(fs, promises):
    if "records" not in promises:
        return
    found, end = decode(fs.read("log"))
    assert len(found) >= promises["records"], f"{len(found)} records are left of {promises['records']}"
    assert found == [payload(number) for number in range(len(found))], "a record that was never written"
    fs.os.truncate(fs.at("log"), end)
    with fs.open("log", "ab") as file:
        file.write(encode(len(found)))
    assert len(decode(fs.read("log"))[0]) == len(found) + 1, "the log cannot be continued"
