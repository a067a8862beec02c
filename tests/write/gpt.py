#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""gpt.py FILE SECTOR: makes a disk of 8 MiB with sectors of so many bytes, and with one
partition, from 1 MiB to 7 MiB."""
import struct
import sys
import zlib

MIB = 1 << 20
ENTRIES = 128
LINUX = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
HEADER = "<8sIIIIQQQQ16sQIII"


def header(table, mine, other, first, room):
    """A header at a sector, of a table at the sector first, and between the two tables
    room for partitions"""
    fields = [b"EFI PART", 0x10000, 92, 0, 0, mine, other, *room, b"D" * 16, first,
              ENTRIES, 128, zlib.crc32(table)]
    fields[3] = zlib.crc32(struct.pack(HEADER, *fields))
    return struct.pack(HEADER, *fields)


def main(name, sector):
    """Writes the disk."""
    last = 8 * MIB // sector - 1
    length = ENTRIES * 128 // sector
    room = (2 + length, last - length - 1)
    part = LINUX + b"P" * 16 + struct.pack("<QQ", MIB // sector, 7 * MIB // sector - 1)
    table = part.ljust(ENTRIES * 128, b"\0")
    mbr = bytearray(512)
    mbr[446:462] = struct.pack("<8BII", 0, 0, 2, 0, 0xee, 255, 255, 255, 1, last)
    mbr[510:] = b"\x55\xaa"
    with open(name, "wb") as f:
        f.truncate(8 * MIB)
        for where, what in ((0, mbr), (1, header(table, 1, last, 2, room)), (2, table),
                            (last - length, table),
                            (last, header(table, last, 1, last - length, room))):
            f.seek(where * sector)
            f.write(what)


main(sys.argv[1], int(sys.argv[2]))
