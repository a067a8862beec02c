#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Images for tests of COW.

cow.py fill IMAGE SEED           crafted: sets random sectors of an image of version 3
cow.py make KIND OUT BASE SEED   crafted: an image of another kind over a raw file, with random
                                 sectors; KIND: 1le 1be 2 3wide qemu qemu386
cow.py field OUT IMAGE OFFSET BYTES VALUE
                                 crafted: another number in the header"""

import os
import random
import struct
import sys

SECTOR = 512
MAGIC = 0x4f4f4f4d


def round_up(n, to):
    """The next multiple."""
    return (n + to - 1) // to * to


def write_sectors(f, size, bitmap, data, seed):
    """Set random sectors: runs and single ones."""
    draw = random.Random(int(seed))
    sectors = size // SECTOR
    bits = bytearray((sectors + 7) // 8)
    for _ in range(30):
        at = draw.randrange(sectors)
        for n in range(at, min(at + draw.choice((1, 1, 2, 8, 50)), sectors)):
            bits[n // 8] |= 1 << n % 8
            f.seek(data + n * SECTOR)
            f.write(draw.randbytes(SECTOR))
    f.seek(bitmap)
    f.write(bits)


def make(kind, out, base, seed):
    """An image: header, bitmap, sectors."""
    size, mtime = os.path.getsize(base), int(os.stat(base).st_mtime)
    name = os.path.abspath(base).encode()
    version = int(kind[0]) if kind[0].isdigit() else 2
    order = "<" if kind == "1le" else ">"
    head = struct.pack(order + "II", MAGIC, version)
    if kind[0] == "1":
        head += struct.pack(order + "256sIQI", name, mtime, size, SECTOR)
    elif kind == "2":
        head += struct.pack(">4096sIQI", name, mtime, size, SECTOR)
    elif kind == "qemu":
        head += struct.pack(">1024sI4xQI4x", name, mtime, size, SECTOR)
    elif kind == "qemu386":
        head += struct.pack(">1024sIQI", name, mtime, size, SECTOR)
    else:
        head += struct.pack(">I4xQIII4096s", mtime, size, SECTOR, 4096, 0, name)
    bitmap = 8192 if version == 3 else len(head)
    data = round_up(bitmap + size // SECTOR // 8, 4096 if version == 3 else SECTOR)
    with open(out, "wb") as f:
        f.write(head)
        write_sectors(f, size, bitmap, data, seed)
        f.truncate(data + size)


def main():
    """Make one image."""
    what, *words = sys.argv[1:]
    if what == "make":
        make(*words)
    elif what == "fill":
        with open(words[0], "r+b") as f:
            size, = struct.unpack_from(">Q", f.read(20), 12)
            write_sectors(f, size, 8192, round_up(8192 + size // SECTOR // 8, 4096), words[1])
    else:
        with open(words[1], "rb") as f:
            image = f.read()
        at, width, value = (int(w, 0) for w in words[2:])
        with open(words[0], "wb") as f:
            f.write(image[:at] + value.to_bytes(width, "big") + image[at + width:])


main()
