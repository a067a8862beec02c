# SPDX-License-Identifier: GPL-2.0
"""For damage.py --module: VMDK, also in an archive, whose members begin at a sector."""

import struct

SECTOR = 512
MARKERS = 1 << 17


def known(path, _lines):
    """Why qemu-img is wrong about an image."""
    with open(path, "rb") as f:
        data = f.read()
    for at in range(0, len(data) - SECTOR + 1, SECTOR):
        if data[at:at + 4] != b"KDMV":
            continue
        flags, directory = struct.unpack_from("<I44xQ", data, at + 8)
        if flags & MARKERS and not directory:
            return "a stream without a directory, whose header qemu-img takes for one"
        return None
    return None
