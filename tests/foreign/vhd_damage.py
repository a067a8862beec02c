# SPDX-License-Identifier: GPL-2.0
"""For damage.py --module: VHD."""

import struct

import vhd


def fix(data, _path):
    """Mend the checksums."""
    for place, length, magic, checksum in ((0, 512, b"conectix", 64),
                                           (len(data) - 512, 512, b"conectix", 64),
                                           (512, 1024, b"cxsparse", 36)):
        if place >= 0 and data[place:place + 8] == magic:
            data[place:place + length] = vhd.with_sum(data[place:place + length], checksum)


def known(path, lines):
    """Why qemu-img is wrong about an image."""
    with open(path, "rb") as f:
        first = f.read(512)
        f.seek(-min(512, f.seek(0, 2)), 2)
        last = f.read(512)
    if not first.startswith(b"conectix") and last[60:64] == struct.pack(">I", 3):
        return "dynamic, taken for fixed by qemu-img"
    if first[60:64] == struct.pack(">I", 4) or ["tell", "type", "differencing"] in lines:
        return "differencing, which qemu-img does not know"
    if first.startswith(b"conectix") and ["tell", "type", "fixed"] in lines:
        return "fixed, taken for dynamic by qemu-img"
    return None
